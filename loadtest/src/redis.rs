//! As much of the protocol of Redis as the harness speaks.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// A server that does not answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string, an integer in its digits, or nothing.
    Bytes(Option<Vec<u8>>),
    Array(Vec<Self>),
}

impl Value {
    pub(crate) fn into_text(self) -> anyhow::Result<String> {
        match self {
            Self::Bytes(Some(bytes)) => Ok(String::from_utf8(bytes)?),
            other => bail!("Redis answered {other:?} where a text was expected"),
        }
    }
}

/// A connection that asks and waits.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects to a server.
    ///
    /// # Errors
    /// When it takes no connection.
    pub(crate) fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a command and reads the answer.
    ///
    /// # Errors
    /// When it is refused, or the connection ends.
    pub(crate) fn call(&mut self, words: &[&[u8]]) -> anyhow::Result<Value> {
        let mut out = Vec::new();
        write_command(&mut out, words);
        self.send(&out)?;
        self.read()
    }

    /// Sends commands; as many answers have to be read.
    ///
    /// # Errors
    /// When the connection ends.
    pub(crate) fn send(&mut self, commands: &[u8]) -> anyhow::Result<()> {
        Ok(self.0.get_mut().write_all(commands)?)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// When it is a refusal, or the connection ends.
    pub(crate) fn read(&mut self) -> anyhow::Result<Value> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).context("an empty answer")?;
        match kind {
            "+" | ":" => Ok(Value::Bytes(Some(rest.as_bytes().to_vec()))),
            "-" => bail!("Redis refused: {rest}"),
            "$" => self.bulk(rest.parse()?),
            "*" => (0..rest.parse::<i64>()?).map(|_| self.read()).collect::<Result<_, _>>().map(Value::Array),
            _ => bail!("{line:?} is no answer of Redis"),
        }
    }

    /// Reads a line, as which MONITOR sends what it sees too.
    ///
    /// # Errors
    /// When the connection ends.
    pub(crate) fn line(&mut self) -> anyhow::Result<String> {
        let mut line = Vec::new();
        ensure!(self.0.read_until(b'\n', &mut line)? > 0, "Redis closed the connection");
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// A way to end the connection from elsewhere.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub(crate) fn handle(&self) -> anyhow::Result<TcpStream> {
        Ok(self.0.get_ref().try_clone()?)
    }

    fn bulk(&mut self, length: i64) -> anyhow::Result<Value> {
        let Ok(length) = usize::try_from(length) else { return Ok(Value::Bytes(None)) };
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(Value::Bytes(Some(bytes)))
    }
}

/// Appends a command as Redis reads it.
pub(crate) fn write_command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A connection to a server that reads one command and answers so.
    fn connection_to(answer: &'static [u8]) -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
            let mut heard = vec![0; asked.len()];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard, asked);
            stream.write_all(answer).unwrap();
        });
        Connection::open(address).unwrap()
    }

    fn answered(answer: &'static [u8]) -> anyhow::Result<Value> {
        connection_to(answer).call(&[b"GET", b"k"])
    }

    #[test]
    fn answers_are_read_whole() {
        let bytes = |bytes: &[u8]| Value::Bytes(Some(bytes.to_vec()));
        assert_eq!(answered(b"+OK\r\n").unwrap(), bytes(b"OK"));
        assert_eq!(answered(b"$4\r\na\r\nb\r\n").unwrap(), bytes(b"a\r\nb"));
        assert_eq!(answered(b"$-1\r\n").unwrap(), Value::Bytes(None));
        let nested = Value::Array(vec![bytes(b"7"), Value::Array(vec![bytes(b"x")])]);
        assert_eq!(answered(b"*2\r\n:7\r\n*1\r\n$1\r\nx\r\n").unwrap(), nested);
    }

    #[test]
    fn a_refusal_and_an_end_are_errors() {
        assert!(answered(b"-ERR no\r\n").unwrap_err().to_string().contains("ERR no"));
        assert!(answered(b"").is_err());
        assert!(answered(b"?\r\n").is_err());
    }
}
