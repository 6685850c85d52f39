/** wget as busybox does it (networking/wget.c), plain HTTP. */

import { readOptions, wholeNumber } from './arguments.js';
import { fetchHttp, readUrl } from './http-client.js';
import { Exit, type Process, SECOND } from './process.js';
import { addressOf } from './resolve.js';
import type { Steps } from './steps.js';

const REDIRECTS = 20;

export function* wget(process: Process): Steps<number> {
  const [, ...args] = process.argv;
  const options = readOptions('wget', args, {
    short: 'qO:T:SU:ct:Y:',
    long: ['spider', 'header=', 'post-data=', 'timeout=', 'no-check-certificate', 'quiet', 'output-document='],
  });
  const [first] = options.operands;
  if (first === undefined) throw new Exit(1, 'Usage: wget [OPTIONS] URL...');
  for (const url of options.operands) yield* one(process, url, options);
  return 0;
}

function* one(process: Process, text: string, options: ReturnType<typeof readOptions>): Steps {
  const { stdout, stderr, machine } = process;
  const quiet = options.has('q') || options.has('quiet');
  const patience = wholeNumber('wget', options.value('T') ?? options.value('timeout'), 900) * SECOND;
  let target = text;
  for (let hops = 0; hops <= REDIRECTS; hops++) {
    const url = readUrl(target);
    if (!url) throw new Exit(1, `wget: not an http or ftp url: ${target}`);
    const address = yield* addressOf(
      process,
      url.host,
      0,
      `wget: bad address '${url.host}${url.port === 80 ? '' : `:${url.port}`}'`,
    );
    if (!quiet)
      stderr.write(`Connecting to ${url.host}${url.port === 80 ? '' : `:${url.port}`} (${address}:${url.port})\n`);
    const body = options.value('post-data');
    const request = [
      `${options.has('spider') ? 'HEAD' : body === undefined ? 'GET' : 'POST'} ${url.path} HTTP/1.1`,
      `Host: ${url.host}${url.port === 80 ? '' : `:${url.port}`}`,
      `User-Agent: ${options.value('U') ?? 'Wget'}`,
      ...(options.value('header') === undefined ? [] : [options.value('header')]),
      ...(body === undefined
        ? []
        : ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${body.length}`]),
      'Connection: close',
      '',
      body ?? '',
    ].join('\r\n');
    const fetched = yield* fetchHttp(process, { address, port: url.port }, new TextEncoder().encode(request), {
      patience,
      headOnly: options.has('spider'),
    });
    if (fetched.kind !== 'response') {
      if (fetched.kind === 'timeout' && patience < 900 * SECOND) throw new Exit(1, 'wget: download timed out');
      if (fetched.kind === 'empty') throw new Exit(1, 'wget: error getting response');
      throw new Exit(1, `wget: can't connect to remote host (${address}): ${WORDS[fetched.kind]}`);
    }
    const { response } = fetched;
    if (options.has('S')) stderr.write(response.head.replaceAll(/^(?=.)/gm, '  ').replaceAll('\r', ''));
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location) {
      target = location.startsWith('/') ? `http://${url.host}:${url.port}${location}` : location;
      continue;
    }
    if (response.status >= 400) throw new Exit(1, `wget: server returned error: ${response.statusLine}`);
    if (options.has('spider')) {
      if (!quiet) stderr.write('remote file exists\n');
      return;
    }
    const name =
      options.value('O') ??
      options.value('output-document') ??
      (url.path.split('?')[0]?.split('/').pop() || 'index.html');
    if (name === '-') {
      if (!quiet) stderr.write('writing to stdout\n');
      stdout.write(response.body);
      if (!quiet) stderr.write(progress('-', response.body.length));
      if (!quiet) stderr.write('written to stdout\n');
      return;
    }
    if (!quiet) stderr.write(`saving to '${name}'\n`);
    if (!machine.files.write(absolute(name), new TextDecoder().decode(response.body)))
      throw new Exit(1, `wget: can't open '${name}': No such file or directory`);
    if (!quiet) stderr.write(`${progress(name, response.body.length)}'${name}' saved\n`);
    return;
  }
  throw new Exit(1, 'wget: too many redirections');
}

const WORDS = {
  refused: 'Connection refused',
  timeout: 'Operation timed out',
  unreachable: 'Host is unreachable',
  reset: 'Connection reset by peer',
} as const;

/** The bar, full: virtual time leaves nothing to watch. */
function progress(name: string, bytes: number): string {
  return `${name.slice(0, 20).padEnd(20)} 100% |********************************| ${String(bytes).padStart(5)}  0:00:00 ETA\n`;
}

function absolute(name: string): string {
  return name.startsWith('/') ? name : `/${name}`;
}
