//! Lookups of users in databases that are slow or do not answer.

use ipblock_api::routes::Right;

use super::*;

/// Maximum of simultaneous lookups for the connections of one user.
const LOOKUPS: usize = 64;

/// Number of lookups in a directory that does not answer.
static HANG: AtomicUsize = AtomicUsize::new(0);

fn hanging(_: u32) -> Listed {
    HANG.fetch_add(1, Ordering::SeqCst);
    loop {
        std::thread::park();
    }
}

/// The daemon looks up every user, even root.
fn asked(_: &UnixSocket, socket: &UnixStream) -> Identity {
    let uid = socket.peer_cred().unwrap().uid();
    Identity::Asked(Origin::Unix { uid })
}

/// Root connects first and last; all others in between are looked up.
fn roots_are_the_first_and_the_last(unix: &UnixSocket, socket: &UnixStream) -> Identity {
    static CAME: AtomicUsize = AtomicUsize::new(0);
    let came = CAME.fetch_add(1, Ordering::SeqCst);
    if came == 0 || came > LOOKUPS + 1 {
        return Identity::Known(Principal {
            right: Some(Right::Change),
            ..Principal::without_rights(Origin::Unix { uid: 0 })
        });
    }
    asked(unix, socket)
}

#[test]
fn a_user_database_that_hangs_keeps_nobody_waiting_who_does_not_need_it() {
    let served = Served::identified(Identified {
        identify: roots_are_the_first_and_the_last,
        look_up: hanging,
    });
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(served.answer(request).ends_with("here"));
    let _asked_about: Vec<_> = (0..LOOKUPS).map(|_| served.connect()).collect();
    let refused = served.answer(request);
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("64 connections of uid"), "{refused}");
    assert!(served.answer(request).ends_with("here"));
    eventually("the lookup", || HANG.load(Ordering::SeqCst) > 0);
    assert_eq!(HANG.load(Ordering::SeqCst), 1, "for all of one user's");
}

/// A directory that answers only when released.
static SLOW: (AtomicUsize, AtomicBool) = (AtomicUsize::new(0), AtomicBool::new(false));

fn slow(uid: u32) -> Listed {
    SLOW.0.fetch_add(1, Ordering::SeqCst);
    while !SLOW.1.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Listed::look_up(uid)
}

#[test]
fn one_lookup_serves_every_connection_of_a_user_that_came_meanwhile() {
    let served = Served::identified(Identified {
        identify: asked,
        look_up: slow,
    });
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let asked_about: Vec<Stream> = (0..5)
        .map(|_| {
            let mut stream = served.connect();
            stream.write_all(request).unwrap();
            stream
        })
        .collect();
    eventually("all of them to wait", || served.open() == 5);
    // The first has a place before its lookup runs.
    eventually("the lookup", || SLOW.0.load(Ordering::SeqCst) > 0);
    assert_eq!(SLOW.0.load(Ordering::SeqCst), 1);
    SLOW.1.store(true, Ordering::SeqCst);
    for stream in asked_about {
        let answer = rest(stream);
        assert!(answer.ends_with("here"), "{answer}");
    }
    assert_eq!(SLOW.0.load(Ordering::SeqCst), 1);
}
