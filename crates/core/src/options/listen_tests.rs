use super::*;
use alloc::string::String;
use alloc::{format, vec};
use proptest::prelude::*;

fn one(text: &str) -> ListenSocket {
    let mut all = parse(text.as_bytes()).unwrap();
    assert_eq!(all.len(), 1);
    all.pop().unwrap()
}

#[test]
fn addresses_of_every_kind() {
    let address = |text: &str| text.parse().unwrap();
    let plain = |address, kind: &[u8], location: &[u8]| ListenSocket {
        address,
        written: [kind.into(), location.into()],
        name: kind.into(),
        backlog: 128,
        mode: None,
    };
    assert_eq!(
        parse(
            b"# web\ntcp 127.0.0.1:80\n\n tcp [::1]:80 \ntcp 80\nudp 80\n\
              unix /run/s\nunix-datagram s"
        ),
        Ok(vec![
            plain(ListenAddress::Tcp(address("127.0.0.1:80")), b"tcp", b"127.0.0.1:80"),
            plain(ListenAddress::Tcp(address("[::1]:80")), b"tcp", b"[::1]:80"),
            plain(ListenAddress::Tcp(address("[::]:80")), b"tcp", b"80"),
            plain(ListenAddress::Udp(address("[::]:80")), b"udp", b"80"),
            plain(ListenAddress::Unix(c"/run/s".into()), b"unix", b"/run/s"),
            plain(ListenAddress::UnixDatagram(c"s".into()), b"unix-datagram", b"s"),
        ])
    );
}

#[test]
fn optional_words() {
    let all = one("unix /run/s mode=0660 backlog=65535\tname=a-B_9.c");
    assert_eq!((all.backlog, all.mode), (65535, Some(0o660)));
    assert_eq!(*all.name, *b"a-B_9.c");
    assert_eq!(one("unix-datagram s mode=7").mode, Some(7));
}

#[test]
fn wrong_lines_are_refused() {
    let long = format!("unix /{}", "x".repeat(107));
    assert!(parse(&long.as_bytes()[..long.len() - 1]).is_ok());
    let name = format!("tcp 80 name={}", "x".repeat(256));
    assert!(parse(&name.as_bytes()[..name.len() - 1]).is_ok());
    for text in [
        "tcp",
        "tcp :80",
        "tcp 65536",
        "tcp ::1:80",
        "tcp localhost:80",
        "tcp 1.2.3.4",
        "unix",
        "unix a\0b",
        "sctp 80",
        "tcp 80 name=",
        "tcp 80 name=a:b",
        "tcp 80 backlog=0",
        "tcp 80 backlog=65536",
        "udp 80 backlog=1",
        "tcp 80 mode=0660",
        "unix s mode=0888",
        "unix s mode=1000",
        "unix s mode=",
        "unix s name=a name=b",
        "tcp 80 x",
        "tcp 80\ntcp [::]:80 name=b",
        &long,
        &name,
    ] {
        assert!(parse(text.as_bytes()).is_err(), "{text:?}");
    }
    let lines = |n| (1..=n).map(|port| format!("tcp {port}\n")).collect::<String>();
    assert!(parse(lines(64).as_bytes()).is_ok());
    assert_eq!(parse(lines(65).as_bytes()).unwrap_err().line, 65);
}

proptest! {
    #[test]
    fn addresses_are_read_back(address in any::<SocketAddr>(), backlog in 1_u32..=65535) {
        // The text form has no flow label.
        let address = match address {
            SocketAddr::V6(mut v6) => {
                v6.set_flowinfo(0);
                v6.into()
            }
            v4 => v4,
        };
        let socket = one(&format!("tcp {address} backlog={backlog}"));
        prop_assert_eq!((socket.address, socket.backlog), (ListenAddress::Tcp(address), backlog));
        prop_assert_eq!(one(&format!("udp {address}")).address, ListenAddress::Udp(address));
    }

    #[test]
    fn paths_are_read_back(path in "[!-~]{1,107}", mode in 0_u16..=0o777) {
        let socket = one(&format!("unix {path} mode={mode:04o}"));
        let path = CString::new(path).unwrap();
        prop_assert_eq!((socket.address, socket.mode), (ListenAddress::Unix(path), Some(mode)));
    }
}
