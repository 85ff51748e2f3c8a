/** The program of a thread that reads pages; web-scraping.ts starts it. */
import { Refused, serve } from "../isolation/serve.ts";
import { extractPage, type Page, type PageRequest } from "./extract-page.ts";

serve((request: PageRequest): Page => {
  try {
    return extractPage(request);
  } catch (error) {
    if (error instanceof Refused) throw error;
    // The stack overflows on elements nested thousands deep.
    const reason = error instanceof RangeError ? "it is nested too deeply" : String(error);
    throw new Refused("page_unreadable", `The page cannot be read: ${reason}.`, { cause: error });
  }
});
