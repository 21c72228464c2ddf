// Browsers: the build that all of them support is inlined. The other one would double the download.
import baseline from "edgeward:baseline";
import { useInlined } from "../inlined.js";

useInlined(() => baseline);
export * from "../index.js";
