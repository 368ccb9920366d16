//! Test guests: small WAT modules over one prelude.

use gaugeway_harness::Module;

const PRELUDE: &str = include_str!("../guests/prelude.wat");

/// The bytes of a guest. Every `«text»` becomes two operands, the text's pointer and length; `\00` in it
/// is a NUL.
pub fn wasm(source: &str) -> Vec<u8> {
    let mut module = String::from("(module\n");
    let mut data = String::new();
    let mut address = 16384;
    for (number, part) in [PRELUDE, source].join("\n").split(['«', '»']).enumerate() {
        if number % 2 == 0 {
            module.push_str(part);
            continue;
        }
        let length = part.replace("\\00", "\0").len();
        module.push_str(&format!("(i32.const {address}) (i32.const {length})"));
        data.push_str(&format!("(data (i32.const {address}) \"{part}\")\n"));
        address += length;
    }
    wat::parse_str(format!("{module}{data})")).unwrap()
}

/// A guest, ready to configure.
pub fn guest(source: &str) -> Module {
    Module::load(&wasm(source)).unwrap()
}
