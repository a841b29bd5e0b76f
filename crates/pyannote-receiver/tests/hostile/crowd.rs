//! Many connections in one thread's hands.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// What every connection of a crowd does, for as long as the attack lasts; one that the server closes is opened anew.
pub(crate) struct Crowd {
    pub(crate) connections: usize,
    /// What is sent at first.
    pub(crate) greeting: Vec<u8>,
    /// What is sent over and over then, as much as the server takes.
    pub(crate) refrain: Vec<u8>,
    /// The pause between two rounds.
    pub(crate) pause: Duration,
    /// Whether answers are read.
    pub(crate) reads: bool,
}

impl Crowd {
    /// Wears the server out.
    pub(crate) fn besiege(&self, address: SocketAddr) {
        self.attack(SIEGE, address);
    }

    /// Sends as much as there is in little time.
    pub(crate) fn storm(&self, address: SocketAddr) {
        self.attack(STORM, address);
    }

    fn attack(&self, time: Duration, address: SocketAddr) {
        let begun = Instant::now();
        let mut streams: Vec<Option<Member>> = (0..self.connections).map(|_| None).collect();
        while begun.elapsed() < time {
            for place in &mut streams {
                if begun.elapsed() >= time {
                    break;
                }
                let acted = match place {
                    Some(member) => self.act(member),
                    None => Member::connect(address).map(|member| *place = Some(member)),
                };
                if acted.is_err() {
                    *place = None;
                }
            }
            thread::sleep(self.pause);
        }
    }

    fn act(&self, member: &mut Member) -> io::Result<()> {
        if self.reads && !member.is_open()? {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let greeting = self.greeting.len();
        let rest = match member.sent {
            sent if sent < greeting => &self.greeting[sent..],
            _ if self.refrain.is_empty() => return Ok(()),
            sent => &self.refrain[(sent - greeting) % self.refrain.len()..],
        };
        match member.stream.write(rest) {
            Ok(sent) => member.sent += sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

struct Member {
    stream: TcpStream,
    sent: usize,
}

impl Member {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, sent: 0 })
    }

    /// Takes what the server said, and whether it has not closed.
    fn is_open(&mut self) -> io::Result<bool> {
        let mut scrap = [0; 4096];
        match self.stream.read(&mut scrap) {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Longer than the server waits for a head, or for the least of a body.
const SIEGE: Duration = Duration::from_secs(6);
pub(crate) const STORM: Duration = Duration::from_secs(3);
