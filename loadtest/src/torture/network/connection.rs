//! Both directions of one connection, until it ends as its ends want it, or as its link does.

use std::io;

use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use super::carrier::{Carrier, Ended};
use super::link::Line;
use super::rule::{Direction, Rule};
use super::tally::add;
use crate::torture::random::Random;

/// What the kernel keeps of what a server says to a client that does not read: little, so that the server notices.
const BUFFER_BYTES: u32 = 64 * 1024;

/// Sets the choices of links apart from those of clients and of the schedule.
const STREAM: u64 = 1 << 33;

/// Carries until the connection is over.
pub(super) async fn connection(client: TcpStream, line: Line, number: u64) {
    let Ok((mut client, mut server, port)) = open(client, &line).await else { return };
    let carrier = |direction: Direction| {
        let stream = STREAM + (line.number << 24) + (number << 1) + u64::from(direction == Direction::ToClient);
        Carrier::new(direction, port, &line, Random::new(line.seed, stream))
    };
    let (there, back) = (carrier(Direction::ToServer), carrier(Direction::ToClient));
    let ended = {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::select! {
            biased;
            () = until_reset(line.rule.clone()) => {
                add(&line.counts.resets, 1);
                Err(Ended::Reset)
            }
            ended = async { tokio::try_join!(there.carry(from_client, to_server), back.carry(from_server, to_client)) } => {
                ended.map(|_| ())
            }
        }
    };
    if ended == Err(Ended::Cut) {
        add(&line.counts.cuts, 1);
    }
    if ended.is_err() {
        reset(&client);
        reset(&server);
    }
}

/// The other half of a connection, and the port that the server sees it come from. A client of a server that is not there
/// is reset: it was taken before that was known.
async fn open(client: TcpStream, line: &Line) -> io::Result<(TcpStream, TcpStream, u16)> {
    let opened = async {
        let socket = if line.server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        let server = socket.connect(line.server).await?;
        set_socket_send_buffer_size(&client, BUFFER_BYTES as usize)?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let port = server.local_addr()?.port();
        Ok((server, port))
    };
    match opened.await {
        Ok((server, port)) => Ok((client, server, port)),
        Err(error) => {
            reset(&client);
            Err(error)
        }
    }
}

/// Waits until this connection is to be reset; for ever if the network ends, which ends it as well.
async fn until_reset(mut rule: watch::Receiver<Rule>) {
    let before = rule.borrow().resets;
    if rule.wait_for(|rule| rule.resets > before).await.is_err() {
        std::future::pending().await
    }
}

/// Has the end of this socket be a RST, and what it did not send yet be lost.
fn reset(stream: &TcpStream) {
    // The socket may be gone by itself.
    let _ = stream.set_zero_linger();
}
