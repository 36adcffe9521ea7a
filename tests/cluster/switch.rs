//! What stands before a server so that its clients find another one at the same place: a name that moves.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Carries connections to a server that can be changed. Ends with the test's process.
pub(crate) struct Switch {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    target: String,
    /// Both ends of what is carried.
    carried: Vec<TcpStream>,
}

impl Switch {
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { target: target.to_owned(), carried: Vec::new() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                // A server that is down is met as one: the connection ends at once.
                drop(carry(client.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    /// Ends all connections; new ones go to another server.
    pub(crate) fn turn(&self, target: &str) {
        let mut state = self.state.lock().unwrap();
        target.clone_into(&mut state.target);
        for end in state.carried.drain(..) {
            // It may have ended by itself.
            drop(end.shutdown(Shutdown::Both));
        }
    }
}

fn carry(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut state = state.lock().unwrap();
    let server = TcpStream::connect(&state.target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    state.carried.extend([client.try_clone()?, server.try_clone()?]);
    for (mut from, mut to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        std::thread::spawn(move || {
            // However it ends, both ends learn it.
            drop(io::copy(&mut from, &mut to));
            drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
        });
    }
    Ok(())
}
