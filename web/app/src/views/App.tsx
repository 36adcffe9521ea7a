import { useAppSelector } from "./hooks";
import { Shell } from "./Shell";
import { SignIn } from "./SignIn";

/** The page: somebody is signed in, or signs in. */
export function App() {
  const signedIn = useAppSelector((state) => state.session.me !== null);
  return signedIn ? <Shell /> : <SignIn />;
}
