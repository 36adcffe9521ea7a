import { Dialog } from "./Dialog";

const KEYS: readonly (readonly [string[], string])[] = [
  [["Enter"], "Send"],
  [["Shift", "Enter"], "New line"],
  [["Ctrl", "K"], "Jump to a room"],
  [["Alt", "↑"], "The room above"],
  [["Alt", "↓"], "The room below"],
  [["Alt", "Shift", "↓"], "The next room with something new"],
  [["F6"], "To the next part of the page"],
  [["End"], "In the messages: to the latest"],
  [["Esc"], "Close what is open"],
  [["Ctrl", "/"], "This list"],
];

/** Every key. */
export function Help() {
  return (
    <Dialog title="Keys">
      <table className="keys">
        <tbody>
          {KEYS.map(([keys, words]) => (
            <tr key={words}>
              <th scope="row">
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </th>
              <td>{words}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}
