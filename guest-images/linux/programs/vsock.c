/*
 * vsock: a stream of an AF_VSOCK socket on standard input and output, both ways at once.
 *
 *   vsock connect CID PORT   reaches a port of another machine; the host's CID is 2
 *   vsock listen PORT        waits for one that reaches this port
 *
 * The end of input is told to the other side (a half-close); the program ends when the other
 * side has ended, too. Errors end it with the error's number.
 *
 * Without a C library, which would be four hundred times its size in a user space that is unpacked by
 * an emulated processor.
 */
#include <linux/errno.h>
#include <linux/poll.h>
#include <linux/vm_sockets.h>
#include <sys/syscall.h>

enum {
        AF_VSOCK_NUMBER = 40,
        SOCK_STREAM_NUMBER = 1,
        SHUT_WRITE = 1,
        BYTES = 65536,
};

static long call3(long number, long a, long b, long c)
{
        long result;
        asm volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
        return result;
}

static _Noreturn void end(long code)
{
        for (;;)
                call3(SYS_exit_group, code, 0, 0);
}

/* What a call gives, or the end with its error. */
static long must(long result)
{
        if (result < 0)
                end(-result);
        return result;
}

static unsigned number(const char *text)
{
        unsigned value = 0;
        for (; *text >= '0' && *text <= '9'; text++)
                value = value * 10 + (unsigned)(*text - '0');
        return value;
}

static int equal(const char *one, const char *other)
{
        while (*one && *one == *other) {
                one++;
                other++;
        }
        return *one == *other;
}

/* Not memset: a compiler would make this loop into a call of it. */
static struct sockaddr_vm address(unsigned cid, unsigned port)
{
        struct sockaddr_vm all = {.svm_family = AF_VSOCK_NUMBER, .svm_port = port, .svm_cid = cid};
        return all;
}

static int connected(unsigned cid, unsigned port)
{
        struct sockaddr_vm to = address(cid, port);
        long socket = must(call3(SYS_socket, AF_VSOCK_NUMBER, SOCK_STREAM_NUMBER, 0));
        must(call3(SYS_connect, socket, (long)&to, sizeof(to)));
        return (int)socket;
}

static int accepted(unsigned port)
{
        struct sockaddr_vm at = address(VMADDR_CID_ANY, port);
        long socket = must(call3(SYS_socket, AF_VSOCK_NUMBER, SOCK_STREAM_NUMBER, 0));
        must(call3(SYS_bind, socket, (long)&at, sizeof(at)));
        must(call3(SYS_listen, socket, 1, 0));
        return (int)must(call3(SYS_accept, socket, 0, 0));
}

/* Once from one descriptor to another, all that came; 0 at its end. */
static long move(int from, int to)
{
        static char bytes[BYTES];
        long count = must(call3(SYS_read, from, (long)bytes, BYTES));
        for (long done = 0; done < count;)
                done += must(call3(SYS_write, to, (long)bytes + done, count - done));
        return count;
}

static void exchange(int socket)
{
        struct pollfd both[] = {{.fd = socket, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        for (;;) {
                must(call3(SYS_poll, (long)both, 2, -1));
                if (both[0].revents && !move(socket, 1))
                        return;
                if (both[1].revents && !move(0, socket)) {
                        must(call3(SYS_shutdown, socket, SHUT_WRITE, 0));
                        /* Nothing more is heard from a negative number. */
                        both[1].fd = -1;
                }
        }
}

__attribute__((used)) static _Noreturn void begin(long *stack)
{
        long count = stack[0];
        char **words = (char **)(stack + 1);

        if (count == 4 && equal(words[1], "connect"))
                exchange(connected(number(words[2]), number(words[3])));
        else if (count == 3 && equal(words[1], "listen"))
                exchange(accepted(number(words[2])));
        else
                end(EINVAL);
        end(0);
}

/* The kernel leaves the number of words and the words on the stack. */
asm(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tcall begin\n");
