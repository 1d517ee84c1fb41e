//! The text which readproctitle shows: the last bytes of a stream, in a fixed place.

/// Shows `text` at the end of `display`: everything in it moves to the left by as much, except
/// the first three bytes, which are never touched. NUL bytes are left out, because they would end
/// the argument which the display is.
///
/// Nothing happens in a display of fewer than four bytes.
pub fn show(display: &mut [u8], text: &[u8]) {
    let Some((_, window)) = display.split_at_mut_checked(3) else {
        return;
    };
    let visible = || text.iter().filter(|&&c| c != 0);
    let new = visible().count();
    let keep = window.len().saturating_sub(new);
    window.copy_within(window.len() - keep.., 0);
    let newest = visible().skip(new.saturating_sub(window.len()));
    for (place, &byte) in window.iter_mut().skip(keep).zip(newest) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The original's way: a shift of everything for each byte.
    fn byte_by_byte(display: &mut [u8], text: &[u8]) {
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
            let mut theirs = ours.clone();
            for text in texts {
                show(&mut ours, &text);
                byte_by_byte(&mut theirs, &text);
                prop_assert_eq!(&ours, &theirs);
            }
        }
    }

    #[test]
    fn a_display_without_room_is_left_alone() {
        let mut display = *b"...";
        show(&mut display, b"text");
        assert_eq!(&display, b"...");
    }
}
