/** `npm run docs`: writes the parts of the documents that are generated from code. */
import { dirname } from "node:path";

import { writeGeneratedParts } from "./docs/generated-parts.ts";

writeGeneratedParts(dirname(import.meta.dirname));
