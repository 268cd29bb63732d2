// The time in which a process that runs several jobs holds a slot. After a few
// milliseconds it begins no more jobs, so that others who wait for a slot get one.
import type { Claims } from '../protocol/claims.js';
import { type Token, noSlot } from '../slots/token.js';
import { native } from '../system/binding.js';
import { now } from '../system/deadline.js';

const turnMs = 10;

export class Turn {
  readonly #token: Token;
  readonly #claims: Claims;
  readonly #socket: number;
  readonly #endsAt = now() + turnMs;

  /** Takes over the token. `socket`: that of the process, borrowed. */
  constructor(
    token: Token,
    claims: Claims,
    socket: number,
    orphanSignal: number,
  ) {
    token.bindTo(socket, orphanSignal, claims.token);
    this.#token = token.move();
    this.#claims = claims;
    this.#socket = socket;
  }

  /** That of the token. */
  get byte(): number {
    return this.#token.byte;
  }

  /** Whether others are to get the slot. */
  get isOver(): boolean {
    return now() >= this.#endsAt;
  }

  /** Whether another job may begin in the slot. A job without a slot has none. */
  get canPassOn(): boolean {
    return this.byte !== noSlot && !this.isOver;
  }

  /** Ends the turn: the caller gives the token back, and no longer the process. */
  end(): Token {
    native.unbindToken(this.#socket, this.#claims.token);
    return this.#token.move();
  }
}
