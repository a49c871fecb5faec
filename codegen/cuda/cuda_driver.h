/* A GPU through libcuda, NVIDIA's driver as a library, opened at run time.
 * Private to cuda. All calls of a device come from the thread that opened it.
 * What fails says what it was, and the driver's own words. */
#pragma once
#include "codegen/cuda/cuda.h"

typedef uint64_t DeviceMemory; /* an address there; 0: none */
typedef struct Device Device;
typedef struct {
    void *module, *function;
} DeviceKernel;

/* Device `number` of those there are; NULL with err set: no driver, no such
 * device, or one that is too old (compute capability below 8.0). */
Device *device_open(int number, Err *err);
void device_close(Device *d); /* NULL is fine; frees nothing else */
const CudaDevice *device_about(const Device *d);

/* 0 with err set: there is not so much free memory; `what` it is for. */
DeviceMemory device_alloc(Device *d, int64_t bytes, const char *what,
                          Err *err);
void device_release(Device *d, DeviceMemory m); /* 0 is fine */
bool device_upload(Device *d, DeviceMemory to, const void *from,
                   int64_t bytes, Err *err);
bool device_download(Device *d, void *to, DeviceMemory from, int64_t bytes,
                     Err *err);
bool device_copy(Device *d, DeviceMemory to, DeviceMemory from, int64_t bytes,
                 Err *err);

/* A function of a cubin or of PTX, which ends with a 0. `shared`: bytes of
 * dynamic memory that its launches ask for. */
bool device_load(Device *d, const void *code, const char *name, int shared,
                 DeviceKernel *out, Err *err);
void device_unload(Device *d, DeviceKernel k);
/* Starts it behind what was started before; arg has a pointer to each
 * argument. */
bool device_launch(Device *d, DeviceKernel k, const char *name,
                   const uint32_t grid[3], int threads, int shared, void **arg,
                   Err *err);
/* Until all that was started is done. */
bool device_wait(Device *d, Err *err);
