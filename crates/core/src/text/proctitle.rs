//! The text that readproctitle shows in its command line.

/// Appends `text` to `display`, whose content scrolls to the left.
///
/// The first three bytes stay. NUL bytes are skipped: the display is an argument, which a NUL would
/// end. A display of fewer than four bytes stays unchanged.
pub fn scroll(display: &mut [u8], text: &[u8]) {
    let Some((_, window)) = display.split_at_mut_checked(3) else {
        return;
    };
    let visible = || text.iter().filter(|&&c| c != 0);
    let new = visible().count();
    let keep = window.len().saturating_sub(new);
    window.copy_within(window.len() - keep.., 0);
    let newest = visible().skip(new.saturating_sub(window.len()));
    for (out, &byte) in window.iter_mut().skip(keep).zip(newest) {
        *out = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The algorithm of the original: every byte scrolls the display.
    fn scroll_by_bytes(display: &mut [u8], text: &[u8]) {
        for &byte in text.iter().filter(|&&c| c != 0) {
            display.copy_within(4.., 3);
            *display.last_mut().unwrap() = byte;
        }
    }

    proptest! {
        #[test]
        fn shows_what_the_original_shows(
            length in 5_usize..40,
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6),
        ) {
            let mut ours: Vec<u8> = [b'.'].repeat(length);
            let mut original = ours.clone();
            for text in texts {
                scroll(&mut ours, &text);
                scroll_by_bytes(&mut original, &text);
                prop_assert_eq!(&ours, &original);
            }
        }
    }

    #[test]
    fn a_display_of_three_bytes_stays_unchanged() {
        let mut display = *b"...";
        scroll(&mut display, b"text");
        assert_eq!(&display, b"...");
    }
}
