import { Component, type ReactNode } from "react";

/** Stands in when drawing failed: the tokens, the drafts and what waits to be sent are kept over the reload. */
export class Fallback extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    if (!this.state.failed) return this.props.children;
    return (
      <main className="sign-in" role="alert">
        <div className="empty">
          <h1>Something broke on this page</h1>
          <p className="quiet">Nothing that you wrote is lost. Reload to go on.</p>
          <p className="actions">
            <button type="button" className="button primary" onClick={() => window.location.reload()}>
              Reload
            </button>
          </p>
        </div>
      </main>
    );
  }
}
