use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The server does what is asked, and its answer is lost.
    AnswerLost,
    /// The server answers with this status and an S3 error code, and does nothing.
    Refused(u16, &'static str),
    /// The server waits before it does what is asked.
    Slow(Duration),
    /// The server does not know this header.
    Ignores(&'static str),
}

/// A request or a response.
pub struct Message {
    /// The request line or the status line, and the headers without those that concern the connection.
    head: Vec<String>,
    /// The status of a response.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Message {
    /// Returns the method of a request.
    pub fn method(&self) -> &str {
        self.head[0].split(' ').next().unwrap()
    }

    /// Returns the target of a request.
    pub fn target(&self) -> &str {
        self.head[0].split(' ').nth(1).unwrap()
    }

    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head[1..]
            .iter()
            .filter_map(|line| line.split_once(':'));
        let mut found = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }

    pub(super) fn read(from: &mut dyn Read, has_body: bool) -> io::Result<Self> {
        let mut from = BufReader::new(from);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            head.push(line.to_owned());
        }
        let status = head[0]
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut message = Self {
            head,
            status: status.unwrap_or_default(),
            body: Vec::new(),
        };
        match message.header("content-length") {
            _ if !has_body => {}
            Some(length) => {
                message.body = vec![0; length.parse().unwrap()];
                from.read_exact(&mut message.body)?;
            }
            None if message.status == 0 => {}
            None => drop(from.read_to_end(&mut message.body)?),
        }
        message.drop_header("connection");
        Ok(message)
    }

    fn drop_header(&mut self, name: &str) {
        self.head.retain(|line| {
            let header = line.split_once(':');
            !header.is_some_and(|(header, _)| header.eq_ignore_ascii_case(name))
        });
    }

    fn write(&self, to: &mut TcpStream) -> io::Result<()> {
        let head = self.head.join("\r\n") + "\r\nconnection: close\r\n\r\n";
        to.write_all(&[head.as_bytes(), &self.body].concat())
    }

    pub(super) fn forward(&self, upstream: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(upstream)?;
        self.write(&mut stream)?;
        Self::read(&mut stream, self.method() != "HEAD")
    }
}

/// Starts a proxy before `upstream`, and returns its address.
pub(super) fn start(
    upstream: SocketAddr,
    fault: Arc<dyn Fn(&Message) -> Fault + Send + Sync>,
) -> SocketAddr {
    // moto looks whether an object exists, and then writes it. S3 does both in one step.
    let writes = Arc::new(Mutex::new(()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, fault, writes) =
                (stream.unwrap(), Arc::clone(&fault), Arc::clone(&writes));
            // The client's part of the conversation may break off. The client then asks again.
            thread::spawn(move || serve(&mut stream, upstream, &*fault, &writes));
        }
    });
    address
}

fn serve(
    stream: &mut TcpStream,
    upstream: SocketAddr,
    fault: &dyn Fn(&Message) -> Fault,
    writes: &Mutex<()>,
) -> io::Result<()> {
    let mut request = Message::read(stream, true)?;
    let fault = fault(&request);
    match fault {
        Fault::Refused(status, code) => {
            let body =
                format!("<Error><Code>{code}</Code><Message>made by a test</Message></Error>");
            let head = format!(
                "HTTP/1.1 {status} Made\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            return stream.write_all((head + &body).as_bytes());
        }
        Fault::Slow(pause) => thread::sleep(pause),
        Fault::Ignores(header) => request.drop_header(header),
        Fault::None | Fault::AnswerLost => {}
    }
    let guard =
        (request.method() == "PUT").then(|| writes.lock().unwrap_or_else(PoisonError::into_inner));
    let answer = request.forward(upstream)?;
    drop(guard);
    match fault {
        Fault::AnswerLost => Ok(()),
        _ => answer.write(stream),
    }
}
