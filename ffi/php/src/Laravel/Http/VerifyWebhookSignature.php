<?php

declare(strict_types=1);

namespace Stockade\Laravel\Http;

use Closure;
use Illuminate\Contracts\Config\Repository;
use Illuminate\Http\Request;
use Stockade\Exception\StockadeException;
use Stockade\Exception\Unauthorized;
use Stockade\Webhook;
use Symfony\Component\HttpFoundation\Response;

/**
 * Rejects a webhook without a valid signature by `stockade.webhook.secret`. Where there is
 * no secret all are rejected, unless `stockade.webhook.unsigned` allows them.
 */
final class VerifyWebhookSignature
{
    public function __construct(private readonly Repository $config)
    {
    }

    /**
     * @param Closure(Request): Response $next
     * @throws Unauthorized
     */
    public function handle(Request $request, Closure $next): Response
    {
        $secrets = array_map('trim', explode(',', (string) $this->config->get('stockade.webhook.secret')));
        $secrets = array_values(array_filter($secrets, static fn (string $secret): bool => $secret !== ''));
        if ($secrets !== []) {
            Webhook::verify($request->getContent(), $request->headers->get(Webhook::HEADER), $secrets);
        } elseif (!$this->config->get('stockade.webhook.unsigned', false)) {
            throw StockadeException::named('unauthorized', 'no webhook secret is set: set STOCKADE_WEBHOOK_SECRET');
        }
        return $next($request);
    }
}
