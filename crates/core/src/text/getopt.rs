//! The command-line option parser of the original. Scripts rely on its rules.
//!
//! Options end before the first argument that does not begin with `-`, before a lone `-`, and after
//! an argument that begins with `--`. Letters may be clustered. A letter with a value takes the
//! rest of its argument, or the next argument.

/// An option, or an error in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opt<'a> {
    /// An option letter.
    Letter(u8),
    /// An option letter and its value.
    Value(u8, &'a [u8]),
    /// An unknown letter: `illegal option -- X`.
    Illegal(u8),
    /// A letter without its value: `option requires an argument -- X`.
    NeedsValue(u8),
}

/// An iterator over the options. After its end, [`Getopt::operand`] is the first operand.
pub struct Getopt<'a, F> {
    args: F,
    letters: &'static [u8],
    cluster: &'a [u8],
    next: usize,
    ended: bool,
}

impl<'a, F: Fn(usize) -> Option<&'a [u8]>> Getopt<'a, F> {
    /// `args` returns an argument by its index; index 0 is the program's name. `letters` are the
    /// option letters, each followed by `:` if it takes a value.
    pub const fn new(args: F, letters: &'static [u8]) -> Self {
        Self { args, letters, cluster: &[], next: 1, ended: false }
    }

    /// The index of the first operand. Valid after `next` has returned `None`.
    pub const fn operand(&self) -> usize {
        self.next
    }
}

impl<'a, F: Fn(usize) -> Option<&'a [u8]>> Iterator for Getopt<'a, F> {
    type Item = Opt<'a>;

    fn next(&mut self) -> Option<Opt<'a>> {
        if self.cluster.is_empty() {
            if self.ended {
                return None;
            }
            let arg = (self.args)(self.next).unwrap_or_default();
            let Some([b'-', rest @ ..]) = Some(arg).filter(|a| a.len() > 1) else {
                self.ended = true;
                return None;
            };
            self.next += 1;
            if rest.first() == Some(&b'-') {
                self.ended = true;
                return None;
            }
            self.cluster = rest;
        }
        let (&letter, rest) = self.cluster.split_first()?;
        self.cluster = rest;
        let known = self.letters.iter().position(|&l| l == letter && l != b':');
        let Some(at) = known else {
            return Some(Opt::Illegal(letter));
        };
        if self.letters.get(at + 1) != Some(&b':') {
            return Some(Opt::Letter(letter));
        }
        self.cluster = &[];
        if !rest.is_empty() {
            return Some(Opt::Value(letter, rest));
        }
        let value = (self.args)(self.next);
        self.next += 1;
        Some(value.map_or(Opt::NeedsValue(letter), |value| Opt::Value(letter, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn parse(args: &[&'static str]) -> (Vec<Opt<'static>>, usize) {
        let args: Vec<&'static [u8]> = args.iter().map(|a| a.as_bytes()).collect();
        let mut opts = Getopt::new(|n| args.get(n).copied(), b"duo:m:");
        let all = opts.by_ref().collect();
        (all, opts.operand())
    }

    #[test]
    fn clusters_and_operands() {
        use Opt::Letter;
        assert_eq!(parse(&["p", "-du", "x", "-d"]), ([Letter(b'd'), Letter(b'u')].into(), 2));
        assert_eq!(parse(&["p"]), ([].into(), 1));
        assert_eq!(parse(&[]), ([].into(), 1));
    }

    #[test]
    fn one_dash_is_an_operand_and_two_end_the_options() {
        assert_eq!(parse(&["p", "-", "-d"]), ([].into(), 1));
        assert_eq!(parse(&["p", "--", "-d"]), ([].into(), 2));
        assert_eq!(parse(&["p", "--help", "-d"]), ([].into(), 2));
        assert_eq!(parse(&["p", "", "-d"]), ([].into(), 1));
    }

    #[test]
    fn a_dash_inside_a_cluster_is_illegal() {
        assert_eq!(parse(&["p", "-u-"]), ([Opt::Letter(b'u'), Opt::Illegal(b'-')].into(), 2));
        assert_eq!(parse(&["p", "-?"]).0, [Opt::Illegal(b'?')]);
        assert_eq!(parse(&["p", "-:"]).0, [Opt::Illegal(b':')]);
    }

    #[test]
    fn values_are_the_rest_or_the_next_argument() {
        assert_eq!(parse(&["p", "-o20", "x"]), ([Opt::Value(b'o', b"20")].into(), 2));
        assert_eq!(parse(&["p", "-o", "-1", "x"]), ([Opt::Value(b'o', b"-1")].into(), 3));
        assert_eq!(parse(&["p", "-m", ""]), ([Opt::Value(b'm', b"")].into(), 3));
        let (all, _) = parse(&["p", "-dm"]);
        assert_eq!(all, [Opt::Letter(b'd'), Opt::NeedsValue(b'm')]);
    }

    proptest! {
        /// The parser ends within the arguments, and an operand never looks like an option.
        #[test]
        fn any_arguments_are_parsed(args in prop::collection::vec("[-duomx:?é ]{0,4}", 0..6)) {
            let args: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
            let mut opts = Getopt::new(|n| args.get(n).copied(), b"duo:m:");
            let longest = args.iter().map(|a| a.len()).sum::<usize>() + 1;
            prop_assert!(opts.by_ref().take(longest + 1).count() <= longest);
            let operand = opts.operand();
            prop_assert!(opts.next().is_none());
            // One past the end if the last letter has no value.
            prop_assert!(operand >= 1 && operand <= args.len().max(1) + 1);
            if let Some(first) = args.get(operand)
                && operand > 1
                && !args[operand - 1].starts_with(b"--")
                && !args[operand - 1].ends_with(b"o")
                && !args[operand - 1].ends_with(b"m")
                && !(operand > 2 && args[operand - 2].starts_with(b"-"))
            {
                prop_assert!(*first == b"-" || !first.starts_with(b"-"));
            }
        }
    }
}
