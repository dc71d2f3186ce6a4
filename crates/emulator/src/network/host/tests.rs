use smoltcp::socket::tcp::State;

use super::{
    meter::{ADDRESS, CLIENT, Meter},
    *,
};

const MS: u64 = 160_000;

/// Lets both live until `done` or 10 s of virtual time, and returns the time.
fn live(
    host: &mut Host,
    meter: &mut Meter,
    now: &mut u64,
    mut done: impl FnMut(&mut Host) -> bool,
) -> bool {
    for _ in 0..10_000 {
        host.poll(*now, &mut meter.port.card);
        if done(host) {
            return true;
        }
        meter.poll(*now);
        *now += MS;
    }
    false
}

fn leased() -> (Host, Meter, u64) {
    let (mut host, mut meter, mut now) = (Host::new(1), Meter::new(2), 0);
    assert!(live(&mut host, &mut meter, &mut now, |host| {
        host.lease().is_some()
    }));
    (host, meter, now)
}

#[test]
fn host_gets_its_address_from_the_meter() {
    let (host, meter, now) = leased();
    let expected = Lease {
        address: Ipv4Cidr::new(CLIENT, 24),
        server: ADDRESS,
        router: Some(ADDRESS),
        dns_servers: vec![ADDRESS],
    };
    assert_eq!(host.lease(), Some(&expected));
    assert!(now < 10 * MS, "{now}");
    assert_eq!(meter.port.card.dropped(), 0);
}

#[test]
fn host_asks_again_until_there_is_a_meter() {
    let (mut host, mut nobody) = (Host::new(1), Card::new([2; 6]));
    assert_eq!(host.connect(80), Err(NotThere));
    assert!(host.ask("ofmon.local").is_err());
    host.poll(0, &mut nobody);
    assert_eq!(host.next_event(), Some(100 * MS));
    let mut asked = 0;
    for now in (0..3_000).map(|ms| ms * MS) {
        host.poll(now, &mut nobody);
        asked += u32::from(nobody.room() < 32);
        nobody.reset();
    }
    assert_eq!(asked, 30);
}

#[test]
fn meter_answers_questions_for_names() {
    let (mut host, mut meter, mut now) = leased();
    let mut question = Some(host.ask("connectivitycheck.example.com").unwrap());
    let mut answer = Progress::Waiting;
    assert!(live(&mut host, &mut meter, &mut now, |host| {
        let (progress, rest) = host.answer(question.take().unwrap());
        (answer, question) = (progress, rest);
        question.is_none()
    }));
    assert_eq!(answer, Progress::Answered(vec![ADDRESS.into()]));
}

#[test]
fn bytes_come_back_over_a_connection_and_after_its_half_close() {
    let (mut host, mut meter, mut now) = leased();
    let connection = host.connect(80).unwrap();
    let sent: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 8) as u8)
        .collect();
    let (mut at, mut back) = (0, Vec::new());
    assert!(live(&mut host, &mut meter, &mut now, |host| {
        let socket = host.socket(connection);
        if socket.can_send() && at < sent.len() {
            at += socket.send_slice(&sent[at..]).unwrap();
            if at == sent.len() {
                socket.close();
            }
        }
        if socket.can_recv() {
            socket
                .recv(|bytes| {
                    back.extend_from_slice(bytes);
                    (bytes.len(), ())
                })
                .unwrap();
        }
        at == sent.len() && !socket.may_recv()
    }));
    assert!(back == sent, "{} of {}", back.len(), sent.len());
    assert_eq!(host.socket(connection).state(), State::TimeWait);
    host.drop_connection(connection);
}

#[test]
fn same_seed_gives_the_same_frames() {
    let frames = |seed| {
        let (mut host, mut card) = (Host::new(seed), Card::new([2; 6]));
        host.poll(0, &mut card);
        card.read(0x10)
    };
    assert_eq!(frames(1), frames(1));
    let times = |seed| {
        let (mut host, mut meter, mut now) = (Host::new(seed), Meter::new(1), 0);
        live(&mut host, &mut meter, &mut now, |host| {
            host.lease().is_some()
        });
        (now, host.next_event())
    };
    assert_eq!(times(7), times(7));
}

#[test]
fn switching_the_meter_on_again_loses_connections_and_address() {
    let (mut host, mut meter, mut now) = leased();
    let connection = host.connect(80).unwrap();
    assert!(live(&mut host, &mut meter, &mut now, |host| {
        host.socket(connection).state() == State::Established
    }));
    host.power_on();
    assert_eq!(host.lease(), None);
    assert_eq!(host.socket(connection).state(), State::Closed);
    // The chip's time begins at 0 again, the host's goes on.
    let (mut meter, mut now) = (Meter::new(1), 0);
    assert!(live(&mut host, &mut meter, &mut now, |host| {
        host.lease().is_some()
    }));
    assert!(now < 200 * MS, "{now}");
}

#[test]
fn meter_that_falls_silent_is_given_up() {
    let (mut host, mut meter, mut now) = leased();
    let connection = host.connect(80).unwrap();
    assert!(live(&mut host, &mut meter, &mut now, |host| {
        host.socket(connection).state() == State::Established
    }));
    meter.port.card.set_link(false);
    let silent = now;
    while host.socket(connection).state() == State::Established {
        now += 10 * MS;
        host.poll(now, &mut meter.port.card);
        assert!(now - silent < 60_000 * MS);
    }
    assert!(now - silent >= 15_000 * MS, "{}", (now - silent) / MS);
}
