<?php

declare(strict_types=1);

namespace Stockade\Testing;

use Closure;
use Throwable;

/**
 * What a {@see FakeClient} shares with those of its actingAs(): calls, and what to
 * answer.
 *
 * @internal
 */
final class Tape
{
    /** @var list<RecordedCall> */
    public array $calls = [];
    /** @var array<string, non-empty-list<mixed>> answers by method; the last one stays */
    public array $told = [];
    public bool $isClosed = false;
    public readonly Shelf $shelf;

    public function __construct()
    {
        $this->shelf = new Shelf();
    }

    /**
     * The configured answer of a call, or what $default makes.
     *
     * @param Closure(): mixed $default
     */
    public function answer(RecordedCall $call, Closure $default): mixed
    {
        if (!isset($this->told[$call->method])) {
            return $default();
        }
        $answers = $this->told[$call->method];
        $answer = count($answers) > 1 ? array_shift($this->told[$call->method]) : $answers[0];
        if ($answer instanceof Closure) {
            // Null leaves the call to the default.
            $answer = $answer($call);
            $answer = $answer === null ? $default() : $answer;
        }
        return $answer instanceof Throwable ? throw $answer : $answer;
    }
}
