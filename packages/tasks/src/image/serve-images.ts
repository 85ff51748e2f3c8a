/** The program of a process that works on images; image-processing.ts starts it. */
import { serve } from "../isolation/serve.ts";
import { processImage } from "./process-image.ts";

serve(processImage);
