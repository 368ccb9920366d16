//! A server on loopback that answers every request in the way that it was told last, and most of these ways are bad.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200 with this body.
    Page(Arc<[u8]>),
    /// These bytes, and no more.
    Raw(&'static [u8]),
    /// These bytes, and then the second ones again and again, until the other side has enough.
    Endless(&'static str, &'static str),
    /// Valid series, each with labels of its own, without end.
    EndlessSeries,
    /// The head of an answer, and then a byte now and then.
    Dribble,
    /// Nothing, with the connection open.
    Silence,
}

/// The server. Its threads end with the test's process.
#[derive(Clone, Debug)]
pub struct Hostile {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    answer: Answer,
    /// Requests since the answer was set.
    requests: u32,
}

impl Hostile {
    /// Listens on a free port.
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let server = Self { address, state: Arc::new(Mutex::new(State { answer, requests: 0 })) };
        let state = Arc::clone(&server.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                thread::spawn(move || serve(stream, &state));
            }
        });
        server
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers differently from the next request on.
    pub fn answer(&self, answer: Answer) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { answer, requests: 0 };
    }

    /// How many requests there were since the answer was set.
    pub fn requests(&self) -> u32 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).requests
    }
}

/// That the other side has gone away is all that can go wrong, and ends the answer.
fn serve(mut stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut head = BufReader::new(stream.try_clone().ok()?).lines();
    head.find(|line| line.as_ref().map_or(true, String::is_empty))?.ok()?;
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests += 1;
        state.answer.clone()
    };
    write(&mut stream, &answer).ok()
}

fn write(stream: &mut TcpStream, answer: &Answer) -> io::Result<()> {
    const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
    match answer {
        Answer::Page(body) => {
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len())?;
            stream.write_all(body)
        }
        Answer::Raw(bytes) => stream.write_all(bytes),
        Answer::Endless(start, again) => {
            stream.write_all(start.as_bytes())?;
            let again = again.repeat(64 * 1024 / again.len());
            loop {
                stream.write_all(again.as_bytes())?;
            }
        }
        Answer::EndlessSeries => {
            stream.write_all(HEAD.as_bytes())?;
            let mut lines = (0_u64..).map(|place| {
                format!(
                    "gaugeway_requests_total{{model=\"{place}\"}} 1\nvllm:x{{a=\"{place}\"}} 1\n"
                )
            });
            loop {
                let some: String = lines.by_ref().take(1000).collect();
                stream.write_all(some.as_bytes())?;
            }
        }
        Answer::Dribble => {
            stream.write_all(HEAD.as_bytes())?;
            loop {
                stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(50));
            }
        }
        Answer::Silence => loop {
            // Notices that the other side has gone away, which closes the connection.
            if stream.peek(&mut [0])? == 0 {
                return Ok(());
            }
        },
    }
}
