import { describe, expect, it } from 'vitest';
import { againCommand, commandOf } from '../../src/cli/commandLine.js';

describe('a command to copy', () => {
  it('is quoted for the shell', () => {
    expect(commandOf('tunesmith', ['train', '--name', "Night's Drive", 'https://x.example/a.mp3'])).toBe(
      "tunesmith train --name 'Night'\\''s Drive' https://x.example/a.mp3",
    );
  });

  it('repeats no query, and cannot be run by mistake without it', () => {
    const command = commandOf('tunesmith', [
      'https://x.example/a.mp3?sig=sesame',
      '--clip',
      'c=https://x.example/b?k=sesame',
    ]);
    expect(command).not.toContain('sesame');
    expect(command).toContain("'<https://x.example/a.mp3 with its query>'");
  });
});

describe('the command that trains once more', () => {
  const argv = ['train', '--name', 'x', 'https://x.example/1'];

  it('is the same with --again at its end, where it takes no file for a label', () => {
    expect(againCommand('tunesmith', argv, undefined)).toBe(
      'tunesmith train --name x https://x.example/1 --again',
    );
  });

  it('leaves out the label that is in use', () => {
    expect(againCommand('t', [...argv, '--again', 'take2'], 'take2')).toBe(
      't train --name x https://x.example/1 --again',
    );
    expect(againCommand('t', [...argv, '--again=take2'], 'take2')).toBe(
      't train --name x https://x.example/1 --again',
    );
    expect(againCommand('t', [...argv, '--again'], true)).toBe(
      't train --name x https://x.example/1 --again',
    );
  });

  it('goes on with a session', () => {
    expect(againCommand('t', argv, undefined, 's')).toBe(
      't train --session s --name x https://x.example/1 --again',
    );
  });
});
