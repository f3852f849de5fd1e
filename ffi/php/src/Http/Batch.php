<?php

declare(strict_types=1);

namespace Stockade\Http;

use Stockade\Exception\StockadeException;

/**
 * Sends many requests in parts that fit a call each, one after the other. A request
 * that is invalid costs only itself; a part that fails is the error of each of its
 * requests.
 *
 * @internal
 */
final class Batch
{
    /** The most bytes of the requests in one part: half the limit of a call. */
    private const PART_BYTES_MAX = 512 << 10;
    /** The most requests of a part, whose responses are larger than they. */
    private const PART_MAX = 1_024;

    /**
     * @template I
     * @template R
     * @param list<I> $requests
     * @param callable(I): array<string, mixed> $encode
     * @param callable(list<RawJson>): list<R> $send
     * @param callable(StockadeException): R $refuse
     * @return list<R> one for each request, in the same order
     */
    public static function send(array $requests, callable $encode, callable $send, callable $refuse): array
    {
        [$results, $parts, $bytes] = [[], [], 0];
        foreach ($requests as $at => $request) {
            try {
                $json = Json::encode($encode($request));
            } catch (StockadeException $error) {
                $results[$at] = $refuse($error);
                continue;
            }
            $last = array_key_last($parts);
            $bytes += strlen($json) + 1;
            if ($last === null || $bytes > self::PART_BYTES_MAX || count($parts[$last]) >= self::PART_MAX) {
                $parts[] = [];
                $last = array_key_last($parts);
                $bytes = strlen($json) + 1;
            }
            $parts[$last][$at] = new RawJson($json);
        }
        // A call without requests still says whether the engine can be reached.
        foreach ($parts === [] && $results === [] ? [[]] : $parts as $part) {
            try {
                $made = $send(array_values($part));
                if (count($made) !== count($part)) {
                    throw Failures::make('internal', 'the engine answered another number of requests');
                }
            } catch (StockadeException $error) {
                if ($part === []) {
                    throw $error;
                }
                $made = array_fill(0, count($part), $refuse($error));
            }
            $results += array_combine(array_keys($part), $made);
        }
        ksort($results);
        return array_values($results);
    }
}
