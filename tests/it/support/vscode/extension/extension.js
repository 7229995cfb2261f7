// Starts Claude Code as Anthropic's extension does: through the wrapper setting if there is one, in the window's
// folder, with the extension host's environment and the variables from the settings. It speaks stream-json, asks one
// question on each activation, and stays connected until the window closes. The output goes to `answers` in the home
// directory, one file for each folder.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const vscode = require('vscode');

let client;

exports.activate = () => {
  const folder = vscode.workspace.workspaceFolders[0].uri.fsPath;
  const setting = (name) => vscode.workspace.getConfiguration().get(name);
  const answers = path.join(os.homedir(), 'answers', path.basename(folder));
  const note = (line) => fs.appendFileSync(answers, `${line}\n`);

  const claude = [setting('test.claude'), '-p', '--verbose', '--input-format', 'stream-json', '--output-format', 'stream-json'];
  const wrapper = setting('claudeCode.claudeProcessWrapper');
  const [program, ...words] = wrapper ? [wrapper, ...claude] : claude;
  const variables = setting('claudeCode.environmentVariables').map(({ name, value }) => [name, value]);
  const env = { ...process.env, CLAUDE_CODE_ENTRYPOINT: 'claude-vscode', ...Object.fromEntries(variables) };
  client = spawn(program, words, { cwd: folder, env, stdio: 'pipe' });
  client.on('error', (error) => note(JSON.stringify({ type: 'error', error: error.message })));
  client.on('exit', (code, signal) => note(JSON.stringify({ type: 'exit', code, signal })));
  client.stderr.on('data', (said) => note(JSON.stringify({ type: 'stderr', said: String(said) })));
  client.stdout.setEncoding('utf8');
  let begun = '';
  client.stdout.on('data', (said) => {
    const lines = (begun + said).split('\n');
    begun = lines.pop();
    lines.forEach(note);
  });
  const text = `a question of ${path.basename(folder)}`;
  client.stdin.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content: [{ type: 'text', text }] } })}\n`);

  const command = setting('test.terminal');
  if (command) {
    const terminal = vscode.window.createTerminal({ cwd: folder });
    terminal.sendText(command);
  }
};

exports.deactivate = () => client?.stdin.end();
