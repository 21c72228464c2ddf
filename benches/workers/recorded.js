// The gateway with metrics: a dataset that takes data points, as the platform's does, and sends none.
import gateway from "./gateway.js";

const dataset = { writeDataPoint() {} };
let bound;

export default {
  fetch(request, env, ctx) {
    bound ??= { ...env, EDGEWARD_METRICS: dataset };
    return gateway.fetch(request, bound, ctx);
  },
};
