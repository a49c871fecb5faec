/* What this machine reaches, measured now (measure.c), and what was measured of
 * it once (machine.c). Private to codegen but for what codegen.h has. */
#pragma once
#include "codegen/codegen.h"

Peaks measure_multiplies(void); /* of one thread, without `read`: quick */
/* GB/s at which one thread reads so many bytes over and over; 0 bytes: left. */
void measure_reading(int n, const int64_t *bytes, double *gbps);

uint64_t machine_hash(void); /* names what is kept of this machine */
/* Of one thread, without `read`: measured once a machine. */
const Peaks *machine_multiplies(void);
