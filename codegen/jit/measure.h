/* What this machine reaches, measured now (measure.c), and what was measured of
 * it once (machine.c). Private to codegen but for what codegen.h has. */
#pragma once
#include "codegen/jit/machine.h"

Peaks measure_multiplies(void); /* of one thread, without `read`: quick */
/* All but the caches' sizes, which must be there (0: that cache is left). */
void measure_machine(MachineModel *m);

uint64_t machine_hash(void); /* names what is kept of this machine */
