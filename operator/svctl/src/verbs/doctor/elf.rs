//! The header of a program file (elf(5)): for which processor it is, and which loader it needs.

/// What the header of a program says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elf {
    /// Bits of a word, byte order and `e_machine`.
    pub(crate) machine: (u8, u8, u16),
    /// The loader in its segment `PT_INTERP`.
    pub(crate) loader: Option<String>,
}

/// The segment type of the loader's path.
const PT_INTERP: u64 = 3;

/// Names of `e_machine`.
const NAMES: [(u16, &str); 10] = [
    (3, "i386"),
    (8, "MIPS"),
    (20, "PowerPC"),
    (21, "PowerPC 64"),
    (22, "S/390"),
    (40, "ARM"),
    (62, "x86-64"),
    (183, "ARM 64"),
    (243, "RISC-V"),
    (258, "LoongArch"),
];

impl Elf {
    /// Parses the beginning of a file; `None` if it is no program.
    pub(crate) fn parse(file: &[u8]) -> Option<Self> {
        let ident = file.strip_prefix(b"\x7fELF")?;
        let (class, order) = (*ident.first()?, *ident.get(1)?);
        let number = |at: usize, len: usize| {
            let bytes = file.get(at..at.checked_add(len)?)?;
            let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            Some(if order == 2 {
                bytes.iter().fold(0, add)
            } else {
                bytes.iter().rev().fold(0, add)
            })
        };
        let machine = u16::try_from(number(18, 2)?).ok()?;
        let place = |at, len| usize::try_from(number(at, len)?).ok();
        let wide = class == 2;
        let segments = || {
            let begin = if wide { place(32, 8)? } else { place(28, 4)? };
            let (size, count) =
                if wide { (place(54, 2)?, place(56, 2)?) } else { (place(42, 2)?, place(44, 2)?) };
            let find = |index: usize| {
                let at = begin.checked_add(index.checked_mul(size)?)?;
                if number(at, 4)? != PT_INTERP {
                    return None;
                }
                let (offset, len) = if wide {
                    (place(at + 8, 8)?, place(at + 32, 8)?)
                } else {
                    (place(at + 4, 4)?, place(at + 16, 4)?)
                };
                let path = file.get(offset..offset.checked_add(len)?)?;
                let path = path.split(|byte| *byte == 0).next()?;
                Some(String::from_utf8_lossy(path).into_owned())
            };
            (0..count.min(256)).find_map(find)
        };
        Some(Self { machine: (class, order, machine), loader: segments() })
    }

    /// Whether a machine that runs `own` usually runs this one as well.
    pub(crate) fn runs_beside(&self, own: &Self) -> bool {
        let (tested, running) = (self.machine.2, own.machine.2);
        self.machine == own.machine || matches!((tested, running), (3, 62) | (40, 183))
    }

    /// The name of its processor.
    pub(crate) fn name(&self) -> String {
        let name = NAMES.iter().find(|(number, _)| *number == self.machine.2);
        name.map_or_else(|| format!("machine {}", self.machine.2), |(_, name)| (*name).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Elf;

    #[test]
    fn this_program_is_parsed() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let elf = Elf::parse(&own).unwrap();
        assert!(elf.loader.as_ref().is_none_or(|loader| loader.starts_with('/')), "{elf:?}");
        assert!(elf.runs_beside(&elf));
        for end in 0..100 {
            let _ = Elf::parse(&own[..end]);
        }
        assert_eq!(Elf::parse(b"#!/bin/sh\n"), None);
    }
}
