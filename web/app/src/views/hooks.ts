import { useEffect, useReducer, useSyncExternalStore } from "react";
import { useDispatch, useSelector } from "react-redux";
import type { AppDispatch, AppState } from "../state/store";

export const useAppDispatch = useDispatch.withTypes<AppDispatch>();
export const useAppSelector = useSelector.withTypes<AppState>();

/** Draws anew every `period_ms` while `running`: for countdowns. */
export function useTick(period_ms: number, running: boolean): void {
  const [, tick] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(tick, period_ms);
    return () => clearInterval(timer);
  }, [period_ms, running]);
}

/** Whether a media query holds. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      const media = window.matchMedia(query);
      media.addEventListener("change", changed);
      return () => media.removeEventListener("change", changed);
    },
    () => window.matchMedia(query).matches,
  );
}

/** Below this, one pane at a time. */
export const NARROW = "(max-width: 719px)";

/** Whether somebody looks at the page: visible, and with the keyboard's attention. */
export function useWatched(): boolean {
  return useSyncExternalStore(
    (changed) => {
      window.addEventListener("focus", changed);
      window.addEventListener("blur", changed);
      document.addEventListener("visibilitychange", changed);
      return () => {
        window.removeEventListener("focus", changed);
        window.removeEventListener("blur", changed);
        document.removeEventListener("visibilitychange", changed);
      };
    },
    () => document.visibilityState === "visible" && document.hasFocus(),
  );
}
