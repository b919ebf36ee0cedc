<?php

declare(strict_types=1);

namespace Lumen\KlaviyoHeaders\Observer;

use Magento\Framework\App\Response\Http;
use Magento\Framework\Event\Observer;
use Magento\Framework\Event\ObserverInterface;

/**
 * A product's page says which product it is; Magento's cache keeps the headers
 * with the page.
 */
class Product implements ObserverInterface
{
    private Http $response;

    public function __construct(Http $response)
    {
        $this->response = $response;
    }

    public function execute(Observer $observer): void
    {
        $product = $observer->getEvent()->getData('product');

        if (!$product) {
            return;
        }

        $this->response->setHeader('X-Product-ID',
            (string) $product->getId(), true);
        $this->response->setHeader('X-Product-SKU',
            rawurlencode((string) $product->getSku()), true);
        $this->response->setHeader('X-Product-Name',
            rawurlencode((string) $product->getName()), true);
        $this->response->setHeader('X-Product-Price',
            (string) $product->getFinalPrice(), true);
    }
}
