// SPDX-License-Identifier: MIT
//
// MQTT.js as a client of the interoperability suite: one connection, driven by lines (client.py explains them).
'use strict'

const mqtt = require('mqtt')
const readline = require('readline')

const [host, port, versionText, clientId, clean, expiry, keepalive, ...will] = process.argv.slice(2)
const version = Number(versionText)
const say = (...fields) => process.stdout.write(fields.join('\t') + '\n')

const options = {
  host,
  port: Number(port),
  protocolVersion: version,
  protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
  clientId,
  clean: clean === '1',
  keepalive: Number(keepalive),
  reconnectPeriod: 0
}
if (version === 5) {
  options.properties = { sessionExpiryInterval: Number(expiry) }
}
if (will.length === 4) {
  options.will = { topic: will[0], qos: Number(will[1]), retain: will[2] === '1', payload: will[3] }
}

let leaving = false
const client = mqtt.connect(options)
client.on('connect', (p) => say('connected', p.sessionPresent ? 1 : 0, p.reasonCode ?? p.returnCode))
client.on('error', (e) => say('refused', -1, e.code))
client.on('close', () => {
  if (!leaving) {
    say('lost', 0)
  }
})
client.on('message', (topic, payload, packet) => {
  const p = packet.properties ?? {}
  const [key, value] = Object.entries(p.userProperties ?? {})[0] ?? ['', '']
  say('message', topic, packet.qos, packet.retain ? 1 : 0, payload.toString(), p.responseTopic ?? '',
    p.correlationData?.toString() ?? '', key, value)
})

const publish = ([topic, qos, retain, payload, responseTopic, correlation, key, value]) => {
  const o = { qos: Number(qos), retain: retain === '1' }
  if (responseTopic) {
    o.properties = {
      responseTopic,
      correlationData: Buffer.from(correlation),
      userProperties: { [key]: value }
    }
  }
  client.publish(topic, payload, o, (e) => say(e ? 'failed' : 'published', e ? e.code : 0))
}

readline.createInterface({ input: process.stdin, terminal: false })
  .on('line', (line) => {
    const [word, ...rest] = line.split('\t')
    if (word === 'subscribe') {
      client.subscribe(rest[0], { qos: Number(rest[1]) }, (e, granted) =>
        e ? say('failed', e.code) : say('subscribed', granted[0].qos))
    } else if (word === 'unsubscribe') {
      client.unsubscribe(rest[0], (e) => say(e ? 'failed' : 'unsubscribed'))
    } else if (word === 'publish') {
      publish(rest)
    } else {
      leaving = true
      client.end(false, {}, () => {
        say('disconnected', 0)
        process.exit(0)
      })
    }
  })
  .on('close', () => {
    if (!leaving) {
      process.exit(1)
    }
  })
