// The rules of a company, as they are: grown over years, in the styles of several authors.
var internal = ["example.org", "corp.example.net", "test"];

function FindProxyForURL(url, host) {
  // 1: what has no domain is next door.
  if (isPlainHostName(host)) return "DIRECT";
  // 2: our own domains, but for the partners' portal.
  if (localHostOrDomainIs(host, "portal.example.org")) return "PROXY partners.example.org:8080";
  for (var i = 0; i < internal.length; i++) {
    if (dnsDomainIs(host, "." + internal[i]) || host == internal[i]) return "DIRECT";
  }
  // 3: addresses of our own networks.
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) {
    if (isInNet(host, "10.0.0.0", "255.0.0.0") || isInNet(host, "172.16.0.0", "255.240.0.0") ||
        isInNet(host, "192.0.2.128", "255.255.255.128")) return "DIRECT";
    // 4: other addresses go out by SOCKS.
    return (convert_addr(host) & 1) ? "SOCKS5 socks.example.org:1080" : "SOCKS socks.example.org";
  }
  // 5: downloads, by path and by extension.
  if (shExpMatch(url, "http://*/pub/*") || shExpMatch(url, "*.(iso|img|qcow2)")) {
    return "PROXY downloads.example.org:3128; PROXY downloads2.example.org:3128; DIRECT";
  }
  // 6: mirrors, by number and by letters.
  if (shExpMatch(host, "mirror[0-4].*") || shExpMatch(host, "m?.mirrors.example.com")) {
    return "PROXY mirrors.example.org:3128; DIRECT";
  }
  // 7: by protocol, port and depth of the name.
  if (url.substring(0, 6) == "https:" && dnsDomainLevels(host) > 2) return "HTTPS secure.example.org:443";
  if (url.indexOf(":8443/") > 0 || shExpMatch(url, "*:8080/*")) return "PROXY ports.example.org:3128";
  // 8: all the rest, on the days there are, in this century and the next.
  if (weekdayRange("SUN", "SAT") && dateRange(2000, 2199)) {
    return "PROXY main.example.org:3128; PROXY spare.example.org:3128";
  }
  return "PROXY never.example.org:1";
}
