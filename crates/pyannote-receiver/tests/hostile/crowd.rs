//! Many connections in one thread.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// What each connection of a crowd does during the attack. A connection that the server closes is opened again.
pub(crate) struct Crowd {
    pub(crate) connections: usize,
    /// The bytes sent first.
    pub(crate) greeting: Vec<u8>,
    /// The bytes sent repeatedly after that.
    pub(crate) refrain: Vec<u8>,
    /// The pause between two rounds.
    pub(crate) pause: Duration,
    /// Whether responses are read.
    pub(crate) reads: bool,
}

impl Crowd {
    /// A crowd that occupies the server for a long time.
    pub(crate) fn besiege(&self, address: SocketAddr) {
        self.attack(SIEGE, address);
    }

    /// A crowd that sends as much as possible in a short time.
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

    /// Reads the response, and returns whether the connection is still open.
    fn is_open(&mut self) -> io::Result<bool> {
        let mut scrap = [0; 4096];
        match self.stream.read(&mut scrap) {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// Longer than the server's timeouts for a head and for a slow body.
const SIEGE: Duration = Duration::from_secs(6);
pub(crate) const STORM: Duration = Duration::from_secs(3);
