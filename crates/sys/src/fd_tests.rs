//! Tests of descriptors and their numbers.

use super::*;
use crate::fs;
use crate::test_support::{file_above, inode_at, number, take_placed};
use rustix::io::fcntl_getfd;

#[test]
fn a_descriptor_moves_to_a_high_number_and_is_copied_to_a_low_one() {
    let (file, inode) = file_above(3);
    let file = move_high(file);
    assert!(number(&file) >= HIGH);
    assert_eq!(fs::open_inode(file.as_fd()), Ok(inode));
    assert_eq!(fcntl_getfd(&file), Ok(FdFlags::CLOEXEC));
    let copy = duplicate_low(file.as_fd()).unwrap();
    assert!(number(&copy) < number(&file));
    assert_eq!(fs::open_inode(copy.as_fd()), Ok(inode));
}

#[test]
fn a_placed_descriptor_is_inherited() {
    let (first, inode) = file_above(300);
    place(first.as_fd(), 310).unwrap();
    assert_eq!(fcntl_getfd(&first), Ok(FdFlags::CLOEXEC));
    // Over another file, and over itself.
    let (second, second_inode) = file_above(300);
    assert_eq!(take_placed(310), inode);
    place(second.as_fd(), 310).unwrap();
    place(first.as_fd(), 310).unwrap();
    assert_eq!(take_placed(310), inode);
    place(second.as_fd(), number(&second)).unwrap();
    assert_eq!(take_placed(number(&ManuallyDrop::new(second))), second_inode);
    assert_eq!(place(first.as_fd(), -1), Err(Errno::BADF));
    assert_eq!(place(first.as_fd(), i32::MAX), Err(Errno::BADF));
}

#[test]
fn place_all_overwrites_no_descriptor_that_it_still_needs() {
    let files = [file_above(400), file_above(400), file_above(400)]
        .map(|(fd, inode)| (ManuallyDrop::new(fd), inode));
    let [(a, a_inode), (b, b_inode), (c, c_inode)] = &files;
    let numbers = [a, b, c].map(|fd| number(fd));
    let [at_a, at_b, at_c] = numbers;
    // The three exchange their numbers in a ring; one also gets a free number.
    place_all(&[(a.as_fd(), at_b), (b.as_fd(), at_c), (c.as_fd(), at_a), (a.as_fd(), 450)])
        .unwrap();
    assert_eq!(numbers.map(take_placed), [*c_inode, *a_inode, *b_inode]);
    assert_eq!(take_placed(450), *a_inode);
    // The temporary duplicates are closed.
    assert_eq!(inode_at(451), None);
}

#[test]
fn place_all_keeps_descriptors_that_have_their_number() {
    let (a, a_inode) = file_above(500);
    let (b, b_inode) = file_above(500);
    let (a, b) = (ManuallyDrop::new(a), ManuallyDrop::new(b));
    let (at_a, at_b) = (number(&a), number(&b));
    place_all(&[(a.as_fd(), at_a), (b.as_fd(), at_b), (a.as_fd(), 550)]).unwrap();
    assert_eq!([at_a, at_b, 550].map(take_placed), [a_inode, b_inode, a_inode]);
    place_all(&[]).unwrap();
}

#[test]
fn the_last_of_two_descriptors_gets_their_common_number() {
    let (a, _) = file_above(600);
    let (b, b_inode) = file_above(600);
    let b = ManuallyDrop::new(b);
    let at_b = number(&b);
    place_all(&[(a.as_fd(), at_b), (b.as_fd(), at_b)]).unwrap();
    assert_eq!(take_placed(at_b), b_inode);
    assert_eq!(place_all(&[(a.as_fd(), i32::MAX)]), Err(Errno::BADF));
}

#[test]
fn arrange_places_several_descriptors() {
    let (a, a_inode) = file_above(700);
    let (b, b_inode) = file_above(700);
    arrange([(a, 750), (b, 751)]).unwrap();
    assert_eq!([750, 751].map(take_placed), [a_inode, b_inode]);
}

#[test]
fn close_others_keeps_two_descriptors() {
    assert!(can_close_others());
    let files = [file_above(500), file_above(500), file_above(500), file_above(500)];
    let numbers = files.each_ref().map(|(file, _)| number(file));
    match crate::process::fork().unwrap() {
        crate::process::Forked::Child => {
            let [_, (second, _), (third, _), _] = &files;
            let closed = close_others([third.as_fd(), second.as_fd()]);
            let open = numbers.map(|number| inode_at(number).is_some());
            let is_right = closed.is_ok() && open == [false, true, true, false];
            crate::process::exit(i32::from(!is_right))
        }
        crate::process::Forked::Parent(child) => {
            let ended = crate::process::wait_for(child);
            assert_eq!(ended, Ok(crate::process::ExitStatus::Exited(0)));
        }
    }
}
