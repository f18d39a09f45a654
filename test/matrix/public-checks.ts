// What the matrix asks of published servers: a few calls of each kind that such a server has.
import assert from 'node:assert/strict'
import { billQuestion, call, free, isModernClient, textOf, type Checks, type Talk } from './behaviours.ts'
import { agreedRevision } from './cells.ts'
import { knows } from './revisions.ts'

function openAs(name: RegExp) {
  return (talk: Talk): void => {
    const { pair, conversation, bill } = talk
    bill.add('open', { method: isModernClient(talk) ? 'server/discover' : 'initialize', ...free })
    // Published servers ask for the roots as soon as they see that the client has some.
    bill.asksByItself = isModernClient(talk)
    assert.equal(conversation.revision, agreedRevision(pair))
    assert.match(String(conversation.serverName), name)
    assert.ok(conversation.capabilities['tools'])
  }
}

function listHas(...names: string[]) {
  return async ({ conversation, bill }: Talk): Promise<void> => {
    bill.add('list', { method: 'tools/list', ...free })
    const found = new Set((await conversation.listTools()).map(({ name }) => name))
    assert.deepEqual(
      names.filter((name) => !found.has(name)),
      [],
    )
  }
}

/** Calls a tool and bills it. */
async function ask(talk: Talk, behaviour: string, [tool, args]: readonly [string, object]): Promise<string> {
  talk.bill.add(behaviour, { ...call, tool })
  const answer = await talk.conversation.callTool(tool, args as Record<string, unknown>)
  assert.notEqual(answer.isError, true, textOf(answer))
  return textOf(answer)
}

async function failing(talk: Talk, [tool, args]: readonly [string, object]): Promise<string> {
  talk.bill.add('tool error', { method: 'tools/call', tool, outcome: 'tool_error', cost: '0' })
  const answer = await talk.conversation.callTool(tool, args as Record<string, unknown>)
  assert.equal(answer.isError, true)
  return textOf(answer)
}

export const everythingChecks: Checks = {
  open: openAs(/everything/),
  list: listHas('echo', 'get-sum', 'get-structured-content', 'trigger-long-running-operation'),
  call: async (talk) =>
    assert.equal(await ask(talk, 'call', ['echo', { message: `é ${talk.token}` }]), `Echo: é ${talk.token}`),
  'structured result': async (talk) => {
    talk.bill.add('structured result', { ...call, tool: 'get-structured-content' })
    const answer = await talk.conversation.callTool('get-structured-content', { location: 'Chicago' })
    const weather = JSON.parse(textOf(answer)) as { conditions: string }
    assert.equal(typeof weather.conditions, 'string')
    if (knows(talk.pair.client.revision, 'structuredContent'))
      assert.deepEqual(answer.structuredContent, weather)
  },
  progress: async ({ conversation, bill }) => {
    const tool = 'trigger-long-running-operation'
    bill.add('progress', { ...call, tool })
    await conversation.callTool(tool, { duration: 0.2, steps: 4 }, { progress: true })
    assert.deepEqual(
      conversation.heard.progressed.map(({ progress }) => progress),
      [1, 2, 3, 4],
    )
  },
  resource: async ({ conversation, bill }) => {
    bill.add('resource', { method: 'resources/read', ...free })
    const read = await conversation.readResource('demo://resource/dynamic/text/1')
    assert.match(String(read), /Resource 1/)
  },
  prompt: async ({ conversation, bill }) => {
    bill.add('prompt', { method: 'prompts/get', outcome: 'success', cost: '0.002' })
    assert.match(String(await conversation.getPrompt('simple-prompt', {})), /prompt/)
  },
  sampling: async (talk) => {
    billQuestion(talk, 'sampling', 'trigger-sampling-request')
    const prompt = `ping ${talk.token}`
    const answer = await talk.conversation.callTool('trigger-sampling-request', { prompt, maxTokens: 8 })
    assert.match(textOf(answer), /pong/)
    assert.equal(talk.conversation.heard.asked.filter((one) => one.includes(prompt)).length, 1)
  },
  elicitation: async (talk) => {
    // The server offers the tool only to clients that declare what it needs.
    if (!knows(talk.pair.client.revision, 'elicitation')) {
      talk.bill.add('elicitation', { method: 'tools/call', tool: 'trigger-elicitation-request', cost: '0' })
      const answer = talk.conversation.callTool('trigger-elicitation-request', {}).then(
        (result) => (result.isError ? textOf(result) : 'answered'),
        (error: Error) => error.message,
      )
      assert.match(await answer, /not found|unknown/i)
      return
    }
    billQuestion(talk, 'elicitation', 'trigger-elicitation-request')
    assert.match(textOf(await talk.conversation.callTool('trigger-elicitation-request', {})), /Ada/)
  },
  'tool error': async (talk) => void (await failing(talk, ['get-sum', { a: 'no number', b: 1 }])),
}

/** `folder` is what the server may see; it has a file `hello.txt`. */
export const filesystemChecks = (folder: string): Checks => ({
  open: openAs(/filesystem/),
  list: listHas('read_text_file', 'list_directory'),
  call: async (talk) =>
    assert.equal(
      await ask(talk, 'call', ['read_text_file', { path: `${folder}/hello.txt` }]),
      'hello from a file',
    ),
  'large result': async (talk) => {
    const path = `${folder}/large.txt`
    assert.equal((await ask(talk, 'large result', ['read_text_file', { path }])).length, 300_000)
  },
  'tool error': async (talk) => {
    const said = await failing(talk, ['list_directory', { path: '/etc' }])
    assert.match(said, /denied|outside/i)
  },
})

export const memoryChecks: Checks = {
  open: openAs(/memory/),
  list: listHas('create_entities', 'search_nodes'),
  call: async (talk) => {
    const entity = { name: talk.token, entityType: 'conversation', observations: ['was here'] }
    await ask(talk, 'call', ['create_entities', { entities: [entity] }])
    assert.match(await ask(talk, 'call', ['search_nodes', { query: talk.token }]), /was here/)
  },
  'tool error': async (talk) => {
    const observations = [{ entityName: `nobody ${talk.token}`, contents: ['x'] }]
    assert.match(await failing(talk, ['add_observations', { observations }]), /not found/)
  },
}
