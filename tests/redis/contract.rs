use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bobchat::adapters::redis::{RedisLog, Servers};
use bobchat_actors::ports::LiveLog;
use bobchat_actors::ports::contract::{self, LiveLoss, LiveSubject};
use bobchat_proto::ids::RoomId;
use futures_util::FutureExt as _;

use crate::cluster::RedisCluster;
use crate::server::RedisServer;
use crate::support::options_of;

/// The servers of one subject after the other, emptied in between.
struct Subject {
    servers: Rc<RefCell<Vec<RedisServer>>>,
    address: Servers,
    log: Arc<RedisLog>,
}

impl Subject {
    async fn empty(servers: Rc<RefCell<Vec<RedisServer>>>, address: Servers) -> Box<dyn LiveSubject> {
        on_all(&servers, |server| drop(server.cli(&["FLUSHALL"])));
        let log = connect(&address).await;
        Box::new(Self { servers, address, log })
    }
}

async fn connect(address: &Servers) -> Arc<RedisLog> {
    RedisLog::connect(options_of(address.clone())).await.unwrap()
}

fn on_all(servers: &RefCell<Vec<RedisServer>>, each: impl FnMut(&mut RedisServer)) {
    servers.borrow_mut().iter_mut().for_each(each);
}

/// Does something to each key of a room, on the server that has it.
fn on_keys(servers: &RefCell<Vec<RedisServer>>, room: RoomId, name: &str, command: &[&str], values: &[&str]) {
    on_all(servers, |server| {
        for key in server.keys(&format!("bob:{{s*}}:{room}:{name}")) {
            server.cli(&[command, &[&key], values].concat());
        }
    });
}

#[async_trait(?Send)]
impl LiveSubject for Subject {
    fn log(&self) -> Arc<dyn LiveLog> {
        Arc::clone(&self.log) as _
    }

    async fn lose(&mut self, loss: LiveLoss) {
        match loss {
            LiveLoss::Restart | LiveLoss::RestartEmpty => {
                on_all(&self.servers, RedisServer::kill);
                if loss == LiveLoss::RestartEmpty {
                    on_all(&self.servers, |server| server.forget());
                }
                on_all(&self.servers, RedisServer::run);
            }
            LiveLoss::Flush => on_all(&self.servers, |server| drop(server.cli(&["FLUSHALL"]))),
            LiveLoss::Room(room) => on_keys(&self.servers, room, "*", &["DEL"], &[]),
        }
        if matches!(self.address, Servers::Cluster(_)) {
            RedisCluster::wait(&self.servers.borrow());
        }
        self.log = connect(&self.address).await;
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn close(&self, room: RoomId) {
        on_keys(&self.servers, room, "meta", &["HSET"], &["closed", "1"]);
    }
}

#[tokio::test]
async fn one_server_keeps_the_contract_of_the_live_log() {
    let server = RedisServer::start();
    let address = Servers::One(server.url());
    let servers = Rc::new(RefCell::new(vec![server]));
    contract::live_log(&|| Subject::empty(Rc::clone(&servers), address.clone()).boxed_local()).await;
}

#[tokio::test]
async fn a_cluster_of_three_masters_keeps_the_contract_of_the_live_log() {
    let cluster = RedisCluster::start();
    let address = cluster.address();
    let servers = Rc::new(RefCell::new(cluster.servers));
    contract::live_log(&|| Subject::empty(Rc::clone(&servers), address.clone()).boxed_local()).await;
}
