/* libcuda by dlopen: see cuda_driver.h. Names and constants are those of the
 * CUDA driver API (docs.nvidia.com/cuda/cuda-driver-api). */
#include "codegen/cuda/cuda_driver.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum {
    CU_major = 75, /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR */
    CU_minor = 76,
    CU_units = 16,       /* ..MULTIPROCESSOR_COUNT */
    CU_most_shared = 97, /* ..MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
    CU_shared = 8,       /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
    CU_out_of_memory = 2,
    CU_no_device = 100,
    CU_no_image = 209, /* no kernel image is available for execution */
    CU_old_driver = 222, /* unsupported PTX version */
    PLAIN_SHARED = 48 << 10, /* bytes a block has without being asked */
};

struct Device {
    void *lib;
    int handle;
    CudaDevice about;
    bool waits; /* after each launch */
    int (*init)(unsigned);
    int (*version)(int *);
    int (*count)(int *);
    int (*get)(int *, int);
    int (*name)(char *, int, int);
    int (*attribute)(int *, int, int);
    int (*retain)(void **, int);
    int (*release)(int);
    int (*current)(void *);
    int (*alloc)(uint64_t *, size_t);
    int (*free)(uint64_t);
    int (*info)(size_t *, size_t *);
    int (*to_device)(uint64_t, const void *, size_t);
    int (*to_host)(void *, uint64_t, size_t);
    int (*within)(uint64_t, uint64_t, size_t);
    int (*load)(void **, const void *);
    int (*unload)(void *);
    int (*function)(void **, void *, const char *);
    int (*set)(void *, int, int);
    int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned,
                  unsigned, unsigned, void *, void **, void **);
    int (*synchronise)(void);
    int (*words)(int, const char **);
};

static const struct {
    const char *name;
    size_t at;
} symbols[] = {
    {"cuInit", offsetof(Device, init)},
    {"cuDriverGetVersion", offsetof(Device, version)},
    {"cuDeviceGetCount", offsetof(Device, count)},
    {"cuDeviceGet", offsetof(Device, get)},
    {"cuDeviceGetName", offsetof(Device, name)},
    {"cuDeviceGetAttribute", offsetof(Device, attribute)},
    {"cuDevicePrimaryCtxRetain", offsetof(Device, retain)},
    {"cuDevicePrimaryCtxRelease_v2", offsetof(Device, release)},
    {"cuCtxSetCurrent", offsetof(Device, current)},
    {"cuMemAlloc_v2", offsetof(Device, alloc)},
    {"cuMemFree_v2", offsetof(Device, free)},
    {"cuMemGetInfo_v2", offsetof(Device, info)},
    {"cuMemcpyHtoD_v2", offsetof(Device, to_device)},
    {"cuMemcpyDtoH_v2", offsetof(Device, to_host)},
    {"cuMemcpyDtoD_v2", offsetof(Device, within)},
    {"cuModuleLoadData", offsetof(Device, load)},
    {"cuModuleUnload", offsetof(Device, unload)},
    {"cuModuleGetFunction", offsetof(Device, function)},
    {"cuFuncSetAttribute", offsetof(Device, set)},
    {"cuLaunchKernel", offsetof(Device, launch)},
    {"cuCtxSynchronize", offsetof(Device, synchronise)},
    {"cuGetErrorString", offsetof(Device, words)},
};

static bool failed(Device *d, int rc, const char *what, Err *err)
{
    const char *words = NULL;
    d->words(rc, &words);
    return err_set(err, "device %d: %s: %s (CUDA error %d)", d->about.number,
                   what, words ? words : "unknown", rc);
}

/* ---- opening ---- */

static bool open_driver(Device *d, Err *err)
{
    d->lib = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!d->lib)
        return err_set(err, "no CUDA driver: %s; it comes with NVIDIA's "
                            "driver of the GPU", dlerror());
    for (size_t i = 0; i < COUNT(symbols); i++) {
        void *at = dlsym(d->lib, symbols[i].name);
        if (!at)
            return err_set(err, "the CUDA driver is too old: libcuda.so.1 has "
                                "no %s", symbols[i].name);
        memcpy((char *)d + symbols[i].at, &at, sizeof at);
    }
    int rc = d->init(0), count = 0;
    if (!rc)
        rc = d->count(&count);
    if (rc == CU_no_device || (!rc && !count))
        return err_set(err, "the CUDA driver finds no GPU");
    if (rc)
        return failed(d, rc, "the driver does not begin", err);
    d->about.count = count;
    return d->about.number < count ||
           err_set(err, "no device %d: there %s %d, from 0 on",
                   d->about.number, count == 1 ? "is" : "are", count);
}

static bool take_device(Device *d, Err *err)
{
    CudaDevice *a = &d->about;
    void *context;
    int rc = d->get(&d->handle, a->number);
    if (!rc)
        rc = d->name(a->name, sizeof a->name, d->handle);
    if (!rc)
        rc = d->attribute(&a->major, CU_major, d->handle);
    if (!rc)
        rc = d->attribute(&a->minor, CU_minor, d->handle);
    if (!rc)
        rc = d->attribute(&a->units, CU_units, d->handle);
    if (!rc)
        rc = d->attribute(&a->shared, CU_most_shared, d->handle);
    if (!rc)
        rc = d->version(&a->driver);
    if (rc)
        return failed(d, rc, "says nothing of itself", err);
    if (a->major < 8)
        return err_set(err, "device %d, %s: compute capability %d.%d; kernels "
                            "need 8.0", a->number, a->name, a->major,
                       a->minor);
    rc = d->retain(&context, d->handle);
    if (!rc)
        rc = d->current(context);
    return !rc || failed(d, rc, "cannot be used", err);
}

Device *device_open(int number, Err *err)
{
    Device *d = xmalloc(sizeof *d);
    memset(d, 0, sizeof *d);
    const char *sync = getenv("GRAFT_CUDA_SYNC");
    d->waits = sync && !strcmp(sync, "1");
    d->about.number = number;
    if (open_driver(d, err) && take_device(d, err))
        return d;
    free(d);
    return NULL;
}

void device_close(Device *d)
{
    if (!d)
        return;
    d->release(d->handle);
    free(d);
}

const CudaDevice *device_about(const Device *d)
{
    return &d->about;
}

/* ---- memory ---- */

DeviceMemory device_alloc(Device *d, int64_t bytes, const char *what, Err *err)
{
    uint64_t at = 0;
    size_t left = 0, all = 0;
    int rc = d->alloc(&at, (size_t)(bytes ? bytes : 1));
    if (!rc)
        return at;
    if (rc != CU_out_of_memory || d->info(&left, &all))
        failed(d, rc, what, err);
    else
        err_set(err, "device %d, %s: %s need %.1f MB, of its %.0f MB %.1f are "
                     "free", d->about.number, d->about.name, what,
                (double)bytes * 1e-6, (double)all * 1e-6,
                (double)left * 1e-6);
    return 0;
}

void device_release(Device *d, DeviceMemory m)
{
    if (m)
        d->free(m);
}

bool device_upload(Device *d, DeviceMemory to, const void *from, int64_t bytes,
                   Err *err)
{
    int rc = bytes ? d->to_device(to, from, (size_t)bytes) : 0;
    return !rc || failed(d, rc, "a copy to it", err);
}

bool device_download(Device *d, void *to, DeviceMemory from, int64_t bytes,
                     Err *err)
{
    int rc = bytes ? d->to_host(to, from, (size_t)bytes) : 0;
    return !rc || failed(d, rc, "a copy from it", err);
}

bool device_copy(Device *d, DeviceMemory to, DeviceMemory from, int64_t bytes,
                 Err *err)
{
    int rc = bytes ? d->within(to, from, (size_t)bytes) : 0;
    return !rc || failed(d, rc, "a copy within it", err);
}

/* ---- kernels ---- */

static bool refused(Device *d, int rc, const char *name, Err *err)
{
    const CudaDevice *a = &d->about;
    if (rc != CU_old_driver && rc != CU_no_image)
        return failed(d, rc, intern_printf("%s cannot be loaded", name), err);
    return err_set(err, "device %d, %s: its driver, of CUDA %d.%d, does not "
                        "take %s, which NVRTC made: a newer driver, or an "
                        "older NVRTC", a->number, a->name, a->driver / 1000,
                   a->driver % 1000 / 10, name);
}

bool device_load(Device *d, const void *code, const char *name, int shared,
                 DeviceKernel *out, Err *err)
{
    *out = (DeviceKernel){NULL, NULL};
    if (shared > d->about.shared)
        return err_set(err, "device %d, %s: %s needs %d bytes of a block's "
                            "memory, there are %d", d->about.number,
                       d->about.name, name, shared, d->about.shared);
    int rc = d->load(&out->module, code);
    if (rc)
        return refused(d, rc, name, err);
    rc = d->function(&out->function, out->module, name);
    if (!rc && shared > PLAIN_SHARED)
        rc = d->set(out->function, CU_shared, shared);
    return !rc || failed(d, rc, name, err);
}

void device_unload(Device *d, DeviceKernel k)
{
    if (k.module)
        d->unload(k.module);
}

bool device_launch(Device *d, DeviceKernel k, const char *name,
                   const uint32_t grid[3], int threads, int shared, void **arg,
                   Err *err)
{
    int rc = d->launch(k.function, grid[0], grid[1], grid[2],
                       (unsigned)threads, 1, 1, (unsigned)shared, NULL, arg,
                       NULL);
    if (!rc && d->waits)
        rc = d->synchronise();
    return !rc || failed(d, rc, name, err);
}

bool device_wait(Device *d, Err *err)
{
    int rc = d->synchronise();
    if (!rc || d->waits)
        return !rc || failed(d, rc, "a kernel", err);
    return failed(d, rc, "a kernel (GRAFT_CUDA_SYNC=1 says which)", err);
}
