// Runs the HTTP cache tests through a proxy, and prints what came of each, judged by the suite's own rules.
//
//   node run.mjs SUITE UNDICI http|https [CERTIFICATE KEY]
//
// SUITE and UNDICI are the unpacked packages. With https the origin speaks TLS with CERTIFICATE, as `suite.test`. The
// first line printed is the port of the origin, or with https that of a proxy which alone leads there. Then the URL of
// the proxy under test is read, and the file of the CA that the client trusts, a line each. Origin and client are one
// process, and everything between them goes by the proxy, the suite's own configuration requests too.
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import path from 'node:path'
import { createRequire } from 'node:module'
import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

import { amended } from './amended.mjs'

const [suite, undici, protocol, certificate, key] = process.argv.slice(2)
// A test may be named for a closer look; then the suite says what it sends and gets.
const only = process.env.ONLY_TEST
const part = name => import(pathToFileURL(path.join(suite, name)))

// What the suite says is for people.
const print = text => process.stdout.write(text)
console.log = console.error

const handlers = {
  config: (await part('server/handle-config.mjs')).default,
  test: (await part('server/handle-test.mjs')).default,
  state: (await part('server/handle-state.mjs')).default
}
const { runTests, getResults } = await part('client/runner.mjs')
const { determineTestResult } = await part('lib/display.mjs')
const tests = (await part('tests/index.mjs')).default
tests.push((await part('tests/surrogate-control.mjs')).default)

for (const test of tests.flatMap(set => set.tests)) {
  amended[test.id]?.(test)
}

const { fetch, ProxyAgent } = createRequire(import.meta.url)(path.resolve(undici))

// The suite's server, but on the loopback only, and on a port that is free.
function handle (request, response) {
  const [, dispatch, ...rest] = new URL(request.url, 'http://localhost/').pathname.split('/')
  response.on('finish', () => {
    // A body of unknown coding ends with its connection, which Node leaves open.
    if (!['undefined', 'chunked'].includes(String(response.getHeader('transfer-encoding')))) request.socket.end()
  })
  if (dispatch in handlers) return handlers[dispatch](rest, request, response)
  response.writeHead(404).end()
}
const origin = protocol === 'https'
  ? https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, handle)
  : http.createServer(handle)
// No connection is closed between two requests, so that none meets a request on its way.
origin.keepAliveTimeout = 600_000
await new Promise(resolve => origin.listen(0, '127.0.0.1', resolve))
const port = origin.address().port
let base = `http://localhost:${port}`
if (protocol === 'https') {
  base = 'https://suite.test'
  const way = http.createServer().on('connect', (_request, socket) => {
    const onward = net.connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
    for (const side of [socket, onward]) side.on('error', () => { socket.destroy(); onward.destroy() })
  })
  await new Promise(resolve => way.listen(0, '127.0.0.1', resolve))
  print(`${way.address().port}\n`)
} else {
  print(`${port}\n`)
}
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const proxy = (await lines.next()).value
const ca = (await lines.next()).value

const dispatcher = new ProxyAgent({
  uri: proxy,
  proxyTunnel: protocol === 'https',
  requestTls: protocol === 'https' ? { ca: fs.readFileSync(ca) } : undefined
})
// Of the modes of fetch, this one adds no fields of its own to a request, as the client of a proxy's tests must not.
const through = (url, init) => fetch(url, { ...init, cache: 'force-cache', dispatcher }).catch(error => {
  throw new Error(`${error.message}: ${error.cause}`)
})

const chosen = only === undefined
  ? tests
  : tests.map(set => ({ ...set, tests: set.tests.filter(test => test.id === only).map(test => ({ ...test, dump: true })) }))
await runTests(chosen, through, false, base)

const results = getResults()
const words = { '✅': 'pass', '⛔️': 'fail', '⚠️': 'miss', Y: 'yes', N: 'no', '🔹': 'setup', '⁉️': 'harness', '⚪️': 'dependency', '↻': 'retry', '-': 'untested' }
const judged = {}
for (const set of chosen) {
  for (const test of set.tests) {
    if (!(test.id in results)) continue
    const outcome = words[determineTestResult(tests, test.id, results)[2]]
    const detail = results[test.id] === true ? '' : results[test.id][1]
    judged[test.id] = { kind: test.kind ?? 'required', outcome, detail, name: test.name }
  }
}
print(JSON.stringify(judged))
process.exit(0)
