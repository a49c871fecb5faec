/* What this machine reaches, measured. Private to codegen but for Peaks and
 * measure_peaks, which codegen.h has. */
#pragma once
#include "codegen/codegen.h"

/* Whether the bf16 dot product beats f32 FMA here; measured once a machine
 * (some milliseconds) and kept under ~/.cache/graft. */
bool measure_dot_pays(void);
/* Whether AMX gives right sums here and beats what there is otherwise. */
bool measure_amx_pays(void);
