//! Test guests: small WAT modules over one prelude.

use std::fmt::Write;

use gaugeway_harness::{LogLine, Module};

const PRELUDE: &str = include_str!("prelude.wat");

/// The bytes of a guest. Every `«text»` becomes two operands, the text's pointer and length; `\00` in
/// it is a NUL.
pub(crate) fn wasm(source: &str) -> Vec<u8> {
    let mut module = String::from("(module\n");
    let mut data = String::new();
    let mut address = 16384;
    for (number, part) in [PRELUDE, source].join("\n").split(['«', '»']).enumerate() {
        if number % 2 == 0 {
            module.push_str(part);
            continue;
        }
        let length = part.replace("\\00", "\0").len();
        write!(module, "(i32.const {address}) (i32.const {length})").unwrap();
        writeln!(data, "(data (i32.const {address}) \"{part}\")").unwrap();
        address += length;
    }
    wat::parse_str(format!("{module}{data})")).unwrap()
}

/// A guest, ready to configure.
pub(crate) fn guest(source: &str) -> Module {
    Module::load(&wasm(source)).unwrap()
}

/// What it logged, without the blanks that end lines to which the host gave no bytes.
pub(crate) fn lines(logs: &[LogLine]) -> Vec<String> {
    logs.iter().map(|line| line.message.trim_end().to_owned()).collect()
}
