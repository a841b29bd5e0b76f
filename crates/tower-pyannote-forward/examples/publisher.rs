//! A `Publisher` for a broker that the crate does not know: here Redis, whose protocol fits on this page.
//!
//! A publisher for Kafka, SQS or Pub/Sub looks the same: it makes a record of the message's body and headers, gives the broker
//! the id, and returns once the broker has acknowledged the record.
//!
//! ```sh
//! redis-server &
//! cargo run -p tower-pyannote-forward --example publisher -- 127.0.0.1:6379
//! redis-cli XRANGE pyannote - +
//! ```

use std::{env, error::Error, io, time::SystemTime};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tower_pyannote::{HandlerError, HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_forward::{Message, Publisher, Relay};

/// Appends each message to a stream of Redis.
struct RedisStream {
    address: String,
    stream: String,
}

impl Publisher for RedisStream {
    async fn publish(&self, message: &Message) -> Result<(), HandlerError> {
        let mut fields: Vec<&[u8]> = vec![b"XADD", self.stream.as_bytes(), b"*"];
        for (name, value) in message.headers() {
            fields.extend([name.as_bytes(), value.as_bytes()]);
        }
        fields.extend([b"body".as_slice(), message.body().as_ref()]);
        // `?` makes every error retryable: the inbox publishes the same message, with the same `ce-id`, later.
        self.command(&fields).await?;
        Ok(())
    }
}

impl RedisStream {
    /// Sends a command, and waits for its answer.
    async fn command(&self, fields: &[&[u8]]) -> io::Result<()> {
        let mut connection = BufReader::new(TcpStream::connect(&self.address).await?);
        let mut request = format!("*{}\r\n", fields.len()).into_bytes();
        for field in fields {
            request.extend(format!("${}\r\n", field.len()).into_bytes());
            request.extend(*field);
            request.extend(b"\r\n");
        }
        connection.write_all(&request).await?;
        let mut answer = String::new();
        connection.read_line(&mut answer).await?;
        // The answer is the length of the record's id; an error begins with a minus sign.
        match answer.starts_with('$') {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "Redis refused the record: {answer}"
            ))),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args()
        .nth(1)
        .ok_or("give the address of a Redis server")?;
    let stream = "pyannote".to_owned();
    let relay = Relay::new(RedisStream { address, stream });
    let registry = HandlerRegistry::new().register("relay", relay)?;

    // Behind an inbox, a worker gives the registry the events. Here is one made by hand.
    let body = r#"{"jobId":"3c8a89a5","status":"canceled"}"#;
    let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()))?;
    let report = registry.handle(event).await;
    for failure in report.failures() {
        eprintln!("{}: {:#}", failure.name, failure.outcome);
    }
    if report.is_success() {
        println!("published");
    }
    Ok(())
}
