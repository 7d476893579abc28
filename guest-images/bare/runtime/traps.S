/*
 * Exceptions and interrupts, and the way to ring 3 and back.
 *
 * The descriptor table is complete when the guest is linked: filling it at run
 * time would be a thousand instructions before the first word is said.
 */
#include "layout.h"

        .text
/* One entry per vector: makes the stack the same with and without error code. */
.macro entry vector
trap_\vector:
        .if !((\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21))
        push    $0
        .endif
        push    $\vector
        jmp     trap_common
.endm
        .altmacro
        .set    vector, 0
        .rept   VECTORS
        entry   %vector
        .set    vector, vector + 1
        .endr

/* Saves what C may change; the rest it preserves by itself. */
trap_common:
        push    %rax
        push    %rcx
        push    %rdx
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        mov     %rsp, %rdi
        cld
        call    trap
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $16, %rsp
        iretq

/*
 * u64 in_ring3(u64 (*work)(u64), u64 argument): calls work() in ring 3 and
 * returns what it returned. Nothing of the caller is in reach of it but memory.
 */
        .globl  in_ring3
in_ring3:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, tss_rsp0
        push    $USER_DATA_SELECTOR
        push    $user_stack_top
        pushf                           # interrupts on or off, as now
        push    $USER_CODE_SELECTOR
        push    $1f
        mov     %rdi, %rax
        mov     %rsi, %rdi
        iretq
1:      call    *%rax
        /* An int instruction would do, but where ring 0 is emulated it may be refused;
         * an exception comes through everywhere. trap() recognizes this place. */
        .globl  ring3_done
ring3_done:
        ud2

/* Back in in_ring3()'s caller; the work's result, u64, is the argument. */
        .globl  return_from_ring3
return_from_ring3:
        mov     %rdi, %rax
        mov     tss_rsp0, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

.macro gate vector
        .word   trap_\vector - LOAD_ADDRESS, CODE_SELECTOR
        .byte   0, 0x8e                 # an interrupt gate: turns interrupts off
        .word   LOAD_ADDRESS >> 16
        .quad   0
.endm
        .section .rodata
        .align  8
idt:
        .set    vector, 0
        .rept   VECTORS
        gate    %vector
        .set    vector, vector + 1
        .endr
idt_end:
        .globl  idt_pointer
idt_pointer:
        .word   idt_end - idt - 1
        .quad   idt

        .bss
        .align  16
        .skip   1024
user_stack_top:
        .section .note.GNU-stack, "", @progbits
