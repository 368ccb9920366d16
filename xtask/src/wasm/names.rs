//! Readable names in the module. Envoy prints the names of the `name` section when a filter traps, as
//! they stand there; the linker's mangled ones are both long and hard to read.

use anyhow::{Context as _, Result};
use wasm_encoder::{Module, NameMap, NameSection, RawSection};
use wasmparser::{KnownCustom, Name, Parser, Payload};

/// Longest name that is kept.
const MAX_BYTES: usize = 64;

/// The module with the names of our own functions made readable, and without its other custom sections.
/// Functions of the standard library keep a number: they are most of the names and say little.
pub(super) fn readable(module: &[u8]) -> Result<Vec<u8>> {
    let mut tidy = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("the module is no wasm")?;
        if let Payload::CustomSection(section) = &payload {
            if let KnownCustom::Name(names) = section.as_known() {
                tidy.section(&name_section(names)?);
            }
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let data = module.get(range).context("a section ends beyond the module")?;
            tidy.section(&RawSection { id, data });
        }
    }
    Ok(tidy.finish())
}

fn name_section(names: wasmparser::NameSectionReader<'_>) -> Result<NameSection> {
    let mut functions = NameMap::new();
    for subsection in names {
        if let Name::Function(map) = subsection? {
            for naming in map {
                let naming = naming?;
                let name = short(naming.name);
                if name.starts_with("gaugeway") || !name.contains("::") {
                    functions.append(naming.index, &name);
                }
            }
        }
    }
    let mut section = NameSection::new();
    section.functions(&functions);
    Ok(section)
}

/// The path of a function without hash, type arguments and the trait that it belongs to.
fn short(mangled: &str) -> String {
    let full = format!("{:#}", rustc_demangle::demangle(mangled));
    let mut name = String::with_capacity(MAX_BYTES);
    let mut depth = 0_u32;
    let mut rest = full.as_str();
    // `<T as Trait>::method` is kept as `T::method`.
    if let Some((this, tail)) = full.strip_prefix('<').and_then(|full| full.split_once(" as ")) {
        name.push_str(this.split_once('<').map_or(this, |(this, _)| this));
        rest = tail.rsplit_once(">::").map_or("", |(_, method)| method);
        name.push_str("::");
    }
    for character in rest.chars() {
        match character {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 && name.len() < MAX_BYTES => name.push(character),
            _ => {}
        }
    }
    name.replace("::::", "::").trim_end_matches("::").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths() {
        for (mangled, name) in [
            (
                "_ZN13gaugeway_core8registry8Registry2id17h23855b8d469a2900E",
                "gaugeway_core::registry::Registry::id",
            ),
            (
                "_ZN85_$LT$gaugeway_filter..http..HttpStream$u20$as$u20$proxy_wasm..traits..HttpContext$GT$6on_log17hd7f949e35ba50820E",
                "gaugeway_filter::http::HttpStream::on_log",
            ),
            ("proxy_on_log", "proxy_on_log"),
        ] {
            assert_eq!(short(mangled), name);
        }
    }

    #[test]
    fn only_names_change() {
        let module = wat_like();
        let tidy = readable(&module).unwrap();
        assert_eq!(readable(&tidy).unwrap(), tidy);
        assert!(wasmparser::validate(&tidy).is_ok());
    }

    /// One function with a mangled name, and a `producers` section.
    fn wat_like() -> Vec<u8> {
        let mut module = Module::new();
        let mut types = wasm_encoder::TypeSection::new();
        types.ty().function([], []);
        let mut functions = wasm_encoder::FunctionSection::new();
        functions.function(0);
        let mut code = wasm_encoder::CodeSection::new();
        let mut body = wasm_encoder::Function::new([]);
        body.instruction(&wasm_encoder::Instruction::End);
        code.function(&body);
        let mut names = NameSection::new();
        let mut map = NameMap::new();
        map.append(0, "_ZN3foo3bar17h23855b8d469a2900E");
        names.functions(&map);
        let producers =
            wasm_encoder::CustomSection { name: "producers".into(), data: (&[0][..]).into() };
        module
            .section(&types)
            .section(&functions)
            .section(&code)
            .section(&names)
            .section(&producers);
        module.finish()
    }
}
