//! The meter's own network: 192.168.4.1, with addresses, names and HTTP for whoever joins.

use core::net::Ipv4Addr;

use device::http;
use embassy_executor::Spawner;
use embassy_net::{Config, Ipv4Cidr, Runner, StackResources, StaticConfigV4};
use static_cell::StaticCell;

use crate::{
    dhcp, dns, hardware::Hardware, launch, measuring::SharedMeter, radio, slots::SharedSlots, web,
};

/// The meter's address.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 4, 1);
const PREFIX_BITS: u8 = 24;
/// One for each connection, one each for addresses and names, and one to spare.
const SOCKETS: usize = http::CONNECTIONS + 3;

/// Brings the network up once the access point is.
#[embassy_executor::task]
pub async fn start(
    spawner: Spawner,
    seed: u64,
    meter: SharedMeter,
    slots: SharedSlots,
    hardware: &'static Hardware,
) {
    static RESOURCES: StaticCell<StackResources<SOCKETS>> = StaticCell::new();
    static CROWD: StaticCell<http::Crowd> = StaticCell::new();
    let link = radio::link().await;
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(ADDRESS, PREFIX_BITS),
        gateway: None,
        dns_servers: heapless::Vec::new(),
    });
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(link, config, resources, seed);
    launch(spawner, run(runner));
    launch(spawner, dhcp::serve(stack));
    launch(spawner, dns::serve(stack));
    let crowd = &*CROWD.init(http::Crowd::new());
    for connection in 0..http::CONNECTIONS {
        launch(
            spawner,
            web::serve(connection, stack, meter, slots, hardware, crowd),
        );
    }
    hardware.access_point_is_up();
}

#[embassy_executor::task]
async fn run(mut runner: Runner<'static, radio::Link>) -> ! {
    runner.run().await
}
