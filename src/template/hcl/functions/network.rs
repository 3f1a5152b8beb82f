//! Functions on IP networks.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{ANY, Arguments, Function, Outcome, Value, strict};

pub(super) const FUNCTIONS: &[Function] = &[
    strict("cidrhost", 2, 2, |a| {
        let network = network(a)?;
        let size = bits(&network) - network.prefix_len();
        let number = i128::from(a.int(1)?);
        let count = 1_i128.checked_shl(size.into()).filter(|count| *count > 0).unwrap_or(i128::MAX);
        let offset = if number < 0 { count + number } else { number };
        if offset < 0 || offset >= count {
            return Err("the network has no such host".to_owned());
        }
        Ok(add(network.network(), offset.unsigned_abs()).to_string().into())
    }),
    strict("cidrnetmask", 1, 1, |a| match network(a)? {
        IpNet::V4(network) => Ok(network.netmask().to_string().into()),
        IpNet::V6(_) => Err("IPv6 networks have no netmask".to_owned()),
    }),
    strict("cidrsubnet", 3, 3, |a| {
        let number = u128::try_from(a.int(2)?).map_err(|_| "the number must not be negative")?;
        subnet(&network(a)?, a.int(1)?, number).map(|network| network.to_string().into())
    }),
    strict("cidrsubnets", 2, ANY, subnets),
];

fn network(a: &Arguments<'_>) -> Result<IpNet, String> {
    let text = a.text(0)?;
    text.parse::<IpNet>()
        .map(|network| network.trunc())
        .map_err(|_| "argument 1 must be a network like 10.0.0.0/8".to_owned())
}

fn bits(network: &IpNet) -> u8 {
    network.max_prefix_len()
}

fn add(address: IpAddr, offset: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            IpAddr::V4(u32::from(address).wrapping_add(u32::try_from(offset).unwrap_or(u32::MAX)).into())
        }
        IpAddr::V6(address) => IpAddr::V6(u128::from(address).wrapping_add(offset).into()),
    }
}

fn subnet(network: &IpNet, new_bits: i64, number: u128) -> Result<IpNet, String> {
    let prefix = u8::try_from(new_bits)
        .ok()
        .and_then(|new_bits| network.prefix_len().checked_add(new_bits))
        .filter(|prefix| *prefix <= bits(network))
        .ok_or("the network has not that many bits left")?;
    let new_bits = prefix - network.prefix_len();
    if new_bits < 127 && number >= 1_u128 << new_bits {
        return Err(format!("{new_bits} bits cannot hold that number"));
    }
    let offset = number.checked_shl(u32::from(bits(network) - prefix)).unwrap_or(0);
    IpNet::new(add(network.network(), offset), prefix).map_err(|error| error.to_string())
}

/// Subnets of the given sizes, one after another.
fn subnets(a: &Arguments<'_>) -> Outcome {
    let network = network(a)?;
    let (mut next, mut found) = (0_u128, Vec::new());
    for index in 1..a.len() {
        let first = subnet(&network, a.int(index)?, 0)?;
        let host_bits = u32::from(bits(&network) - first.prefix_len());
        let size = 1_u128.checked_shl(host_bits).ok_or("the network is too large")?;
        let start = next.div_ceil(size).checked_mul(size).ok_or("the network is full")?;
        let candidate =
            IpNet::new(add(network.network(), start), first.prefix_len()).map_err(|error| error.to_string())?;
        if !network.contains(&candidate) {
            return Err("the network is full".to_owned());
        }
        found.push(candidate.to_string());
        next = start + size;
    }
    Ok(Value::strings(found))
}
