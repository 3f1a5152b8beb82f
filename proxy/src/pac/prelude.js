// The functions that a PAC script may call. What they do is in Rust, behind `native`; here arguments become text, and
// what must be a JavaScript value becomes one. Nothing of this is reachable by the script but the functions themselves:
// what they use is taken before the script runs, so that a script that changes built-in objects changes its own answer
// and no more.
(function (native) {
  "use strict";
  const text = String, pattern = RegExp, RangeError = globalThis.RangeError, apply = Reflect.apply, test = RegExp.prototype.test;
  const texts = (args) => {
    const all = [];
    for (let i = 0; i < args.length; i++) all[i] = text(args[i]);
    return all;
  };
  const orNull = (found) => (found === "" ? null : found);

  const functions = {
    isPlainHostName(host) { return native.isPlainHostName(text(host)); },
    dnsDomainIs(host, domain) { return native.dnsDomainIs(text(host), text(domain)); },
    localHostOrDomainIs(host, hostdom) { return native.localHostOrDomainIs(text(host), text(hostdom)); },
    isResolvable(host) { return native.resolve(text(host)) !== ""; },
    isInNet(host, address, mask) { return native.isInNet(text(host), text(address), text(mask)); },
    dnsResolve(host) { return orNull(native.resolve(text(host))); },
    convert_addr(address) { return native.convertAddress(text(address)); },
    myIpAddress() { return native.myAddress(); },
    dnsDomainLevels(host) { return native.domainLevels(text(host)); },
    shExpMatch(value, expression) {
      const simple = native.glob(text(value), text(expression));
      if (simple !== 2) return simple === 1;
      // Brackets, groups and alternatives mean what they mean in a regular expression: scripts rely on it.
      return apply(test, new pattern(native.globAsPattern(text(expression))), [text(value)]);
    },
    weekdayRange(...args) { return native.weekdayRange(texts(args)); },
    dateRange(...args) { return native.dateRange(texts(args)); },
    timeRange(...args) { return native.timeRange(texts(args)); },
    alert(message) { native.alert(text(message)); },
    // The ones of Microsoft, which know IPv6.
    isResolvableEx(host) { return native.resolveAll(text(host)) !== ""; },
    isInNetEx(address, prefix) { return native.isInNetEx(text(address), text(prefix)); },
    dnsResolveEx(host) { return native.resolveAll(text(host)); },
    myIpAddressEx() { return native.myAddresses(); },
    sortIpAddressList(list) { const sorted = native.sortAddresses(text(list)); return sorted === "" ? false : sorted; },
    getClientVersion() { return "1.0"; },
  };
  for (const name in functions) globalThis[name] = functions[name];

  // Loops of the language's own look at no clock: an array with more entries than memory has room for is refused.
  const longest = 1000000, methods = Array.prototype;
  for (const name of Reflect.ownKeys(methods)) {
    const method = methods[name];
    if (typeof method !== "function" || name === "constructor") continue;
    const guarded = {
      [name](...args) {
        if (this !== null && this !== undefined && this.length > longest) {
          throw new RangeError("an array of more than " + longest + " entries");
        }
        return apply(method, this, args);
      },
    };
    Object.defineProperty(methods, name, { value: guarded[name], writable: true, configurable: true });
  }

  // Calls the script's function. Text comes back as it is; a number is the length of a text that is too long.
  return function (find, url, host, longest) {
    const found = find(url, host);
    if (found === null || found === undefined) return "";
    if (typeof found !== "string") return { kind: typeof found };
    return found.length > longest ? found.length : found;
  };
})
