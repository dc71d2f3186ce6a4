use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use smoltcp::socket::tcp;

use super::*;
use crate::network::host::meter::Meter;

const MS: u64 = 160_000;

struct World {
    host: Host,
    meter: Meter,
    now: u64,
    open_most: usize,
}

impl World {
    fn new(echoes: usize, port: u16) -> (Self, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let mut host = Host::new(1);
        host.forward(listener, port).unwrap();
        let world = Self {
            host,
            meter: Meter::new(echoes),
            now: 0,
            open_most: 0,
        };
        (world, address)
    }

    fn step(&mut self) {
        self.host.poll(self.now, &mut self.meter.port.card);
        self.meter.poll(self.now);
        self.now += MS;
        self.open_most = self.open_most.max(self.host.forwarded());
        // Virtual time must not run away from the programs.
        thread::sleep(Duration::from_micros(50));
    }

    fn run<T: Send + 'static>(&mut self, program: impl FnOnce() -> T + Send + 'static) -> T {
        let program = thread::spawn(program);
        let began = Instant::now();
        while !program.is_finished() {
            self.step();
            assert!(began.elapsed() < Duration::from_secs(60), "program hangs");
        }
        program.join().unwrap()
    }
}

fn bytes(count: usize, seed: u32) -> Vec<u8> {
    (0..count as u32)
        .map(|index| (index.wrapping_mul(index ^ seed) >> 8) as u8)
        .collect()
}

/// Sends all, closes its side, reads until the end.
fn echoed(address: SocketAddr, sent: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut back = Vec::new();
    thread::scope(|scope| {
        let mut writing = stream.try_clone().unwrap();
        scope.spawn(move || {
            writing.write_all(sent).unwrap();
            writing.shutdown(Shutdown::Write).unwrap();
        });
        stream.read_to_end(&mut back).unwrap();
    });
    back
}

#[test]
fn bytes_go_both_ways_and_one_side_may_close_first() {
    let (mut world, address) = World::new(1, 80);
    let sent = bytes(300_000, 3);
    let back = world.run({
        let sent = sent.clone();
        move || echoed(address, &sent)
    });
    assert!(back == sent, "{} of {}", back.len(), sent.len());
    for _ in 0..1_100 {
        world.step();
    }
    assert_eq!(world.host.forwarded(), 0);
    // DHCP and DNS stay, the connection is forgotten.
    assert_eq!(world.host.sockets.iter().count(), 2);
}

#[test]
fn many_connections_are_served_and_no_more_than_the_limit_at_once() {
    let (mut world, address) = World::new(40, 80);
    let all = world.run(move || {
        let programs: Vec<_> = (0..40)
            .map(|seed| {
                thread::spawn(move || {
                    let sent = bytes(20_000, seed);
                    // All are there before the first ends.
                    thread::sleep(Duration::from_millis(20));
                    echoed(address, &sent) == sent
                })
            })
            .collect();
        programs
            .into_iter()
            .map(|program| program.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(all, vec![true; 40]);
    assert_eq!(world.open_most, OPEN_MAX);
    assert_eq!(world.meter.port.card.dropped(), 0);
}

#[test]
fn refused_connection_ends() {
    let (mut world, address) = World::new(1, 81);
    let back = world.run(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).map(|_| back.len())
    });
    assert!(matches!(back, Ok(0) | Err(_)), "{back:?}");
}

#[test]
fn program_that_breaks_off_frees_the_meter() {
    let (mut world, address) = World::new(1, 80);
    let echo = world.meter.echoes[0];
    let stream = world.run(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&bytes(5_000, 1)).unwrap();
        stream.peek(&mut [0]).unwrap();
        stream
    });
    let state = |world: &World| world.meter.sockets.get::<tcp::Socket<'_>>(echo).state();
    assert_eq!(state(&world), tcp::State::Established);
    // Unread bytes make this a reset.
    drop(stream);
    for _ in 0..100 {
        world.step();
    }
    assert_eq!(
        (world.host.forwarded(), state(&world)),
        (0, tcp::State::Listen)
    );
    let again = world.run(move || echoed(address, b"again"));
    assert_eq!(again, b"again");
}

#[test]
fn meter_that_is_switched_off_ends_its_connections() {
    let (mut world, address) = World::new(1, 80);
    let mut stream = world.run(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    });
    world.host.power_on();
    (world.meter, world.now) = (Meter::new(1), 0);
    let rest = world.run(move || stream.read_to_end(&mut Vec::new()));
    assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");
    assert_eq!(world.run(move || echoed(address, b"new life")), b"new life");
}
