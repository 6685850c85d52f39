/** What the tests of stack files share: reading one, and being refused. */
import { expect } from 'vitest';
import { parseStackFile, type StackFile, StackFileError, type StackFileOptions } from '../../src/stack-file/index.js';

export function read(text: string, options: Partial<StackFileOptions> = {}): StackFile {
  return parseStackFile(text, { file: 'stack.yml', ...options });
}

/** The error that a text is refused with; a test that expects one fails when the text is accepted. */
export function refusal(text: string, options: Partial<StackFileOptions> = {}): StackFileError {
  try {
    read(text, options);
  } catch (error) {
    expect(error).toBeInstanceOf(StackFileError);
    return error as StackFileError;
  }
  throw new Error('this file was accepted');
}

/** `web` with these lines below it. */
export function service(...lines: string[]): string {
  return ['services:', '  web:', '    image: nginx', ...lines.map((line) => `    ${line}`)].join('\n');
}
